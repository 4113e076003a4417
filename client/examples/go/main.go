// Asks an API with the token of an account, which comes from tokend's HTTP socket: main ACCOUNT URL
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

// do makes a request with one header. None is repeated at another place, where the API redirects to.
func do(transport *http.Transport, method, url, body, name, value string) *http.Response {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header = http.Header{name: {value}, "Content-Type": {"application/json"}}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

// token asks the daemon, which answers with a token or with words for people.
func token(method, what, body string) (got struct{ Access_token, Detail, Advice string }) {
	tokend := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", os.Getenv("TOKEND_HTTP_SOCKET"))
	}}
	answer := do(tokend, method, "http://tokend/v1/accounts/"+os.Args[1]+"/"+what, body, "X-Tokend", "1")
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || answer.StatusCode != 200 {
		log.Fatal("no token: ", got.Detail, "; ", got.Advice)
	}
	return got
}

func main() {
	held := token("GET", "token", "").Access_token
	answer := do(&http.Transport{}, "GET", os.Args[2], "", "Authorization", "Bearer "+held)
	if answer.StatusCode == 401 { // reported, and repeated with the next one
		refused, _ := json.Marshal(map[string]string{"token": held})
		held = token("POST", "reject", string(refused)).Access_token
		answer = do(&http.Transport{}, "GET", os.Args[2], "", "Authorization", "Bearer "+held)
	}
	if answer.StatusCode >= 400 {
		log.Fatal(answer.Status)
	}
	fmt.Println(answer.StatusCode)
}

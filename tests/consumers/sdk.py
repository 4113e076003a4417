"""A program that gets tokens by the SDK of a cloud, as its users write it: knows nothing of tokend.

For each line on standard input it asks once and prints `TOKEN SECONDS`, or `! ERROR: MESSAGE` in one line. With `anew` it begins with a new
credential, as a program that was just started; else it keeps the one that it has.
"""

import sys
import time


def azure(resource):
    from azure.identity import ManagedIdentityCredential

    # Without its repetitions, which take half a minute.
    credential = ManagedIdentityCredential(retry_total=0)

    def get():
        token = credential.get_token(resource + "/.default")
        return token.token, token.expires_on - time.time()

    return get


def google(*scopes):
    import datetime

    import google.auth
    from google.auth.transport.requests import Request

    credential, _ = google.auth.default(scopes=list(scopes) or None)

    def get():
        if not credential.valid:
            credential.refresh(Request())
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        return credential.token, (credential.expiry - now).total_seconds()

    return get


def main():
    kind, *arguments = sys.argv[1:]
    make = {"azure": azure, "google": google}[kind]
    get = None
    for line in sys.stdin:
        try:
            if get is None or line.strip() == "anew":
                get = make(*arguments)
            token, seconds = get()
            print(token, round(seconds), flush=True)
        except Exception as error:
            said = " ".join(str(error).split())
            print(f"! {type(error).__name__}: {said}", flush=True)


main()

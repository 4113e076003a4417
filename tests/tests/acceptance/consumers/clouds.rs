//! Programs with the SDK of a cloud, which ask an endpoint of tokenctl.
//!
//! Owns the program in which an SDK asks, and the token service in the place of Google's.

use tokend_harness::demand::carried_out;
use tokend_tests::installed;

use super::{
    Scene,
    cases::{ITS_OWN, api},
    show,
};

/// What is run here; a test compares it with the table.
pub(crate) const NAMES: [&str; 3] = ["azure", "external-account", "gce"];

/// The SDK's own program in Python, with the packages that `tests/setup` has for it; `asked` obtains `token`.
fn with_sdk(scene: &Scene, name: &str, asked: &str) -> String {
    let python = installed("sdks", "venv/bin/python").unwrap();
    let url = scene.server.url();
    let report = format!(
        "#!{}\n{asked}\nimport urllib.request\nrequest = urllib.request.Request('{url}/')\n\
         request.add_unredirected_header('Authorization', 'Bearer ' + token)\nurllib.request.urlopen(request)\n",
        python.display()
    );
    scene.put("report", &report);
    scene.lines(name)
}

fn sdks() -> bool {
    carried_out(
        "SDKs of clouds",
        installed("sdks", "venv/bin/python").map(drop),
    )
}

#[test]
fn azure() {
    const ASK: &str = "from azure.identity import ManagedIdentityCredential
token = ManagedIdentityCredential().get_token('https://api.example.com/.default').token";
    if sdks() {
        show(
            &["python3"],
            api(),
            |scene| with_sdk(scene, "azure", ASK),
            &ITS_OWN,
        );
    }
}

const GOOGLE: &str = "import google.auth
from google.auth.transport.requests import Request
credentials, _ = google.auth.default(scopes=['https://example.com/auth/read'])
credentials.refresh(Request())
token = credentials.token";

#[test]
fn gce() {
    if sdks() {
        show(
            &["python3"],
            api(),
            |scene| with_sdk(scene, "gce", GOOGLE),
            &ITS_OWN,
        );
    }
}

/// A token service that gives back the token it gets, in the place of Google's.
#[test]
fn external_account() {
    const EXCHANGE: &str = r#"import http.server, json, os, urllib.parse
class Exchange(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        sent = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        said = json.dumps({"access_token": sent["subject_token"][0], "token_type": "Bearer", "expires_in": 3600,
                           "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Exchange)
own = {"type": "external_account", "audience": "//iam.example.com/pools/p/providers/q",
       "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
       "token_url": "http://127.0.0.1:%d/" % server.server_port, "credential_source": {"file": "/nonexistent"}}
with open("account.new", "w") as file:
    json.dump(own, file)
os.rename("account.new", "account.json")
server.handle_request()
"#;
    if !sdks() {
        return;
    }
    let script = |scene: &Scene| {
        scene.put("exchange.py", EXCHANGE);
        let lines = with_sdk(scene, "external-account", GOOGLE);
        // It serves one exchange, and none where there is no token.
        format!(
            "rm -f account.json; timeout 60 python3 exchange.py & until [ -e account.json ]; do :; done\n\
             trap 'kill %1' EXIT\n{lines}"
        )
    };
    show(&["python3", "timeout"], api(), script, &ITS_OWN);
}

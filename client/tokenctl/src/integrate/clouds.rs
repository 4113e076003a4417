//! Consumers with the SDK of a cloud, which asks an endpoint for its token.
//!
//! Owns their entries; the rules for them are in `consumer`.

use super::consumer::Consumer;

pub(super) const AZURE: Consumer = Consumer {
    name: "azure",
    about: "a program with azure-identity, as DefaultAzureCredential or ManagedIdentityCredential",
    needs: "nothing else; replace the resource, which is its scope without /.default, and the program",
    parts: &[(
        "a shell script",
        "tokenctl exec --as azure --for https://api.example.com ACCOUNT -- ./report\n",
    )],
};

pub(super) const EXTERNAL_ACCOUNT: Consumer = Consumer {
    name: "external-account",
    about: "a program with a Google SDK, which exchanges the token for one of Google's",
    needs: "a token that the workload identity pool trusts, and the file that gcloud made for it; replace file and program",
    parts: &[(
        "a shell script",
        r#"export GOOGLE_APPLICATION_CREDENTIALS="$HOME/account.json"
tokenctl exec --as external-account ACCOUNT -- ./report
"#,
    )],
};

pub(super) const GCE: Consumer = Consumer {
    name: "gce",
    about: "a program with a Google SDK, to which the token is that of its machine",
    needs: "a token that Google's APIs, or others that the program calls, take; replace the scope and the program",
    parts: &[(
        "a shell script",
        "tokenctl exec --as gce --for https://example.com/auth/read ACCOUNT -- ./report\n",
    )],
};

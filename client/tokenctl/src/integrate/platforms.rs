//! Consumers that fetch packages and code, or run what others deploy: registries, clusters, services.
//!
//! Owns their entries; the rules for them are in `consumer`.

use super::consumer::{CONFIGURATION, Consumer};

pub(super) const AWS: Consumer = Consumer {
    name: "aws",
    about: "the AWS CLI and SDKs in a role, with the token as web identity",
    needs: "a token that is a JWT of an identity provider which the role trusts; replace role and program",
    parts: &[(
        "a shell script",
        r#"export AWS_ROLE_ARN=arn:aws:iam::123456789012:role/report
tokenctl exec --file ACCOUNT=AWS_WEB_IDENTITY_TOKEN_FILE -- aws sts get-caller-identity
"#,
    )],
};

pub(super) const CARGO: Consumer = Consumer {
    name: "cargo",
    about: "crates of a registry that takes the token",
    needs: "cargo 1.74 or newer; replace the name and the host, in both files alike",
    parts: &[
        (
            CONFIGURATION,
            "[account.ACCOUNT.api]\nurls = \"https://cargo.example.com\"\n",
        ),
        (
            "~/.cargo/config.toml",
            r#"[registries.example]
index = "sparse+https://cargo.example.com/index/"
credential-provider = "cargo-credential-tokenctl"
"#,
        ),
    ],
};

pub(super) const DOCKER: Consumer = Consumer {
    name: "docker",
    about: "docker login with the token as password",
    needs: "a registry that takes it; docker keeps it in its config.json; replace user name and host",
    parts: &[(
        "a shell script",
        r#"token=$(tokenctl get ACCOUNT) &&
  printf %s "$token" | docker login --username oauth2 --password-stdin registry.example.com
"#,
    )],
};

pub(super) const DOCKER_HELPER: Consumer = Consumer {
    name: "docker-helper",
    about: "docker, podman and skopeo at a registry that takes the token as password",
    needs: "podman and skopeo read it in ~/.config/containers/auth.json; replace the host, in both files alike",
    parts: &[
        (
            CONFIGURATION,
            "[account.ACCOUNT.api]\nurls = \"https://registry.example.com\"\n",
        ),
        (
            "~/.docker/config.json",
            r#"{ "credHelpers": { "registry.example.com": "tokenctl" } }
"#,
        ),
    ],
};

pub(super) const ENVOY: Consumer = Consumer {
    name: "envoy",
    about: "Envoy adds the token to what it passes on, and reads each newer one",
    needs: "a rule for that unit or user in the account's allow; an Envoy with header_value_prefix",
    parts: &[
        (
            "/etc/tokend/sinks.d/envoy.toml",
            r#"account = "ACCOUNT"
path = "/run/tokend-sink/envoy/token.json"
format = "envoy-sds"
"#,
        ),
        (
            "/etc/systemd/system/tokend-sink@envoy.service.d/user.conf",
            r"[Service]
User=envoy
",
        ),
        (
            "a shell",
            "sudo systemctl daemon-reload && sudo systemctl enable --now tokend-sink@envoy.service\n",
        ),
        (
            "the http_filters in envoy.yaml, before the router",
            r#"- name: envoy.filters.http.credential_injector
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector
    overwrite: true
    credential:
      name: envoy.http.injected_credentials.generic
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic
        header_value_prefix: "Bearer "
        credential:
          name: ACCOUNT
          sds_config:
            path_config_source:
              path: /run/tokend-sink/envoy/token.json
              watched_directory: { path: /run/tokend-sink/envoy }
"#,
        ),
    ],
};

pub(super) const GIT: Consumer = Consumer {
    name: "git",
    about: "git at a server that takes the token",
    needs: "nothing else; replace the host everywhere",
    parts: &[
        (
            CONFIGURATION,
            "[account.ACCOUNT.api]\nurls = \"https://git.example.com\"\n",
        ),
        (
            "a shell",
            r#"git config --global --replace-all credential.https://git.example.com.helper ''
git config --global --add credential.https://git.example.com.helper tokenctl
"#,
        ),
    ],
};

pub(super) const GITHUB_ACTIONS: Consumer = Consumer {
    name: "github-actions",
    about: "the token masked in the log, and in API_TOKEN for the steps that follow",
    needs: "a runner of your own on a machine with tokend",
    parts: &[(
        "the steps of a job in .github/workflows",
        "      - run: tokenctl get ACCOUNT --format github --env-name API_TOKEN\n",
    )],
};

pub(super) const KUBECTL: Consumer = Consumer {
    name: "kubectl",
    about: "kubectl, and every client with its exec plugins, with the token",
    needs: "kubectl 1.22 or newer (older ones: v1beta1); a context with this user; a server whose redirects you trust",
    parts: &[(
        "~/.kube/config",
        r#"users:
- name: "ACCOUNT"
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: tokenctl
      args: [get, "ACCOUNT", --format, kubernetes]
      interactiveMode: Never
"#,
    )],
};

pub(super) const NPM: Consumer = Consumer {
    name: "npm",
    about: "packages of a registry that takes the token",
    needs: "nothing else; replace the scope and the host",
    parts: &[
        (
            ".npmrc",
            "@example:registry=https://npm.example.com/\n//npm.example.com/:_authToken=${NPM_TOKEN}\n",
        ),
        (
            "a shell",
            "tokenctl exec ACCOUNT=NPM_TOKEN -- npm install @example/package\n",
        ),
    ],
};

pub(super) const PIP: Consumer = Consumer {
    name: "pip",
    about: "packages of an index that takes the token as password",
    needs: "a session with XDG_RUNTIME_DIR; replace host and package",
    parts: &[(
        "a shell script",
        r#"trap 'exit 1' HUP INT TERM
NETRC=$(mktemp -p "${XDG_RUNTIME_DIR:?}") && trap 'rm -f "$NETRC"' EXIT && export NETRC &&
  tokenctl get ACCOUNT --format netrc --machine pypi.example.com --output "$NETRC" &&
  pip install --no-input --index-url https://pypi.example.com/simple/ PACKAGE
"#,
    )],
};

pub(super) const PIP_KEYRING: Consumer = Consumer {
    name: "pip-keyring",
    about: "packages of an index that takes the token as password, asked for when it is needed",
    needs: "pip 23.1 or newer; replace host and package",
    parts: &[
        (
            CONFIGURATION,
            "[account.ACCOUNT.api]\nurls = \"https://pypi.example.com\"\n",
        ),
        (
            "a shell",
            r#"mkdir -p ~/.local/lib/tokend &&
  ln -sf "$(command -v tokenctl)" ~/.local/lib/tokend/keyring
"#,
        ),
        (
            "a shell script",
            r#"export PATH="$HOME/.local/lib/tokend:$PATH"
pip install --no-input --keyring-provider subprocess --index-url https://oauth2@pypi.example.com/simple/ PACKAGE
"#,
        ),
    ],
};

pub(super) const PROMETHEUS: Consumer = Consumer {
    name: "prometheus",
    about: "a server that takes the token, scraped by Prometheus, which reads it from a file",
    needs: "a rule for that unit or user in the account's allow; replace the target",
    parts: &[
        (
            "/etc/tokend/sinks.d/prometheus.toml",
            r#"account = "ACCOUNT"
path = "/run/tokend-sink/prometheus/token"
"#,
        ),
        (
            "/etc/systemd/system/tokend-sink@prometheus.service.d/user.conf",
            r"[Service]
User=prometheus
",
        ),
        (
            "a shell",
            "sudo systemctl daemon-reload && sudo systemctl enable --now tokend-sink@prometheus.service\n",
        ),
        (
            "prometheus.yml",
            r"scrape_configs:
- job_name: example
  scheme: https
  follow_redirects: false
  authorization:
    credentials_file: /run/tokend-sink/prometheus/token
  static_configs:
  - targets: [metrics.example.com]
",
        ),
    ],
};

pub(super) const SYSTEMD: Consumer = Consumer {
    name: "systemd",
    about: "a service with the token in ACCESS_TOKEN",
    needs: "a user or unit that may have the token; replace the program",
    parts: &[(
        "/etc/systemd/system/report.service",
        r"[Unit]
Wants=tokend.socket
After=tokend.socket

[Service]
ExecStart=tokenctl exec ACCOUNT -- /usr/local/bin/report
",
    )],
};

pub(super) const SYSTEMD_CREDS: Consumer = Consumer {
    name: "systemd-creds",
    about: "a service that finds the token in a file, which systemd gets for it",
    needs: "tokend-credentials.socket, and the rule { unit = \"report.service\" }; replace the program",
    parts: &[(
        "/etc/systemd/system/report.service",
        r"[Unit]
Wants=tokend-credentials.socket
After=tokend-credentials.socket

[Service]
LoadCredential=ACCOUNT:/run/tokend/credentials.sock
ExecStart=/usr/local/bin/report --token-file %d/ACCOUNT
",
    )],
};

pub(super) const TERRAFORM: Consumer = Consumer {
    name: "terraform",
    about: "Terraform and OpenTofu at a registry or a backend that takes the token",
    needs: "a host that is the account's as a whole, which you replace; TF_LOG=warn shows why there is no token",
    parts: &[
        (
            CONFIGURATION,
            "[account.ACCOUNT.api]\nurls = \"https://terraform.example.com\"\n",
        ),
        (
            "~/.terraformrc",
            r#"credentials_helper "tokenctl" {}
"#,
        ),
        (
            "a shell",
            r#"mkdir -p ~/.terraform.d/plugins &&
  ln -sf "$(command -v terraform-credentials-tokenctl)" ~/.terraform.d/plugins/
"#,
        ),
    ],
};

pub(super) const TWINE: Consumer = Consumer {
    name: "twine",
    about: "uploads to an index that takes the token as password",
    needs: "the backend of keyring in client/keyring, which pip installs; replace the host everywhere",
    parts: &[
        (
            CONFIGURATION,
            "[account.ACCOUNT.api]\nurls = \"https://pypi.example.com\"\n",
        ),
        (
            "a shell script",
            r#"twine upload --non-interactive --verbose --repository-url https://pypi.example.com/legacy/ dist/*
"#,
        ),
    ],
};

pub(super) const UV: Consumer = Consumer {
    name: "uv",
    about: "packages of an index that takes the token as password, for uv",
    needs: "uv 0.4 or newer; replace the host everywhere, and the package",
    parts: &[
        (
            CONFIGURATION,
            "[account.ACCOUNT.api]\nurls = \"https://pypi.example.com\"\n",
        ),
        (
            "a shell",
            r#"mkdir -p ~/.local/lib/tokend &&
  ln -sf "$(command -v tokenctl)" ~/.local/lib/tokend/keyring
"#,
        ),
        (
            "a shell script",
            r#"export PATH="$HOME/.local/lib/tokend:$PATH"
uv pip install --keyring-provider subprocess --index-url https://oauth2@pypi.example.com/simple/ PACKAGE
"#,
        ),
    ],
};

pub(super) const WLCG: Consumer = Consumer {
    name: "wlcg",
    about: "programs of grids, which look for a token as WLCG's bearer token discovery says",
    needs: "a session with XDG_RUNTIME_DIR; replace the program and its URL, here gfal's",
    parts: &[
        (
            "~/.config/tokend/sinks.d/wlcg.toml",
            r#"account = "ACCOUNT"
wlcg = true
"#,
        ),
        (
            "a shell",
            "systemctl --user enable --now tokend-sink@wlcg.service\n",
        ),
        (
            "a shell script",
            r#"export BEARER_TOKEN_FILE="$XDG_RUNTIME_DIR/bt_u$(id -u)"
test -s "$BEARER_TOKEN_FILE" && gfal cat https://dav.example.com/file
"#,
        ),
    ],
};

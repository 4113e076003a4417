//! The catalog: built-in dialects, a user's own, and dialects that extend each other.

use tokend_dialect::{Catalog, DeclaredReuse, ExchangeKind::Login};

use crate::support::*;

const BUILTIN: &[&str] = &[
    "ad-verification",
    "client-credentials",
    "firebase-accounts",
    "jwt-api",
    "oauth2",
];

fn file(name: &str, text: &str) -> (String, String) {
    (format!("{name}.toml"), text.to_owned())
}

#[test]
fn the_built_in_dialects_compile() {
    let catalog = Catalog::builtin();
    let names: Vec<&str> = catalog.iter().map(|(dialect, _)| dialect.name()).collect();
    assert_eq!(names, BUILTIN);
    for (dialect, builtin) in catalog.iter() {
        assert!(builtin && !dialect.summary().is_empty());
        let text = dialect.show();
        assert!(text.contains("documentation = ") && text.contains("[login]"));
    }
}

#[test]
fn an_unknown_name_is_told_with_the_nearest() {
    let error = Catalog::builtin().find("firebase-acounts").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no dialect `firebase-acounts`; did you mean `firebase-accounts`?"
    );
    assert_eq!(error.known, BUILTIN);
    assert_eq!(
        Catalog::builtin().find("zzz").unwrap_err().to_string(),
        "there is no dialect `zzz`"
    );
}

#[test]
fn a_dialect_extends_another_in_any_order_of_files() {
    let files = [
        file(
            "grandchild",
            "extends = \"child\"\n[login.body.form]\nextra = \"x\"\n[refresh]\nreuse = \"none\"\n",
        ),
        file(
            "child",
            "extends = \"oauth2\"\nsummary = \"child\"\nwithout = [\"login.body.form.audience\", \"options.resource.description\"]\n\
             [refresh]\nreuse = \"rotates-and-reuse-revokes\"\n[reply]\naccess_token = \"/data/token\"\n\
             [[login.rules]]\ncode = \"invalid_grant\"\nclass = \"busy\"\n\
             [[login.cases]]\nwhen = { grant = \"password\" }\nbody.form = { provider = \"db\" }\n",
        ),
    ];
    let catalog = Catalog::builtin().with_files(files).unwrap();
    let child = catalog.find("child").unwrap();
    let grandchild = catalog.find("grandchild").unwrap();
    assert_eq!((child.summary(), grandchild.summary()), ("child", "child"));
    assert_eq!(
        (child.reuse(), grandchild.reuse()),
        (DeclaredReuse::RotatesAndReuseRevokes, DeclaredReuse::None)
    );
    assert_eq!(child.pacing(), builtin("oauth2").pacing());
    // Its own rule stands before the inherited one, its own case after the inherited ones.
    assert_eq!(
        read(child, Login, 400, r#"{"error":"invalid_grant"}"#).word(),
        "busy"
    );
    assert_eq!(
        read(child, Login, 400, r#"{"error":"invalid_client"}"#).word(),
        "credential-rejected"
    );
    let fields = fields(&[("username", "u"), ("password", "p")]);
    let endpoint = with_options(grandchild, &[("client_auth", "none"), ("audience", "gone")]);
    let request = grandchild.request(Login, &endpoint, &fields).unwrap();
    let mut sent: Vec<String> = form(&request).into_iter().map(|(name, _)| name).collect();
    sent.sort();
    assert_eq!(
        sent,
        ["extra", "grant_type", "password", "provider", "username"]
    );
    assert_eq!(
        access(&grant(grandchild, Login, r#"{"data":{"token":"t"}}"#)),
        "t"
    );
}

#[test]
fn another_body_encoding_or_auth_replaces_the_inherited_one() {
    let base = file(
        "base",
        "summary = \"b\"\n[login]\npath = \"/l\"\nauth = { scheme = \"basic\", username = \"{username}\", password = \"{password}\", encoding = \"raw\" }\n\
         body.form = { a = \"1\", auth = \"2\" }\n[reply]\nlifetime = { from = [\"/x\"], assumed = \"1h\", max = \"2h\" }\n",
    );
    let child = file(
        "child",
        "extends = \"base\"\n[login]\nauth = { scheme = \"bearer\", token = \"{password}\" }\nbody.json = { rules = [1] }\n\
         [reply]\nlifetime = { assumed = \"3h\" }\n",
    );
    let same = file(
        "same",
        "extends = \"base\"\n[login]\nbody.form = { b = \"3\" }\n",
    );
    let catalog = Catalog::builtin().with_files([base, child, same]).unwrap();
    let fields = fields(&[("username", "u"), ("password", "p")]);
    let child = catalog.find("child").unwrap();
    let request = child.request(Login, &endpoint(child), &fields).unwrap();
    assert_eq!(
        (body(&request), header(&request, "authorization")),
        (r#"{"rules":[1]}"#, Some("Bearer p"))
    );
    // A lifetime is stated as a whole: the inherited `from` and `max` are gone.
    assert_eq!(
        grant(child, Login, r#"{"access_token":"a","x":1}"#).lifetime,
        seconds(3 * 3600)
    );
    let same = catalog.find("same").unwrap();
    assert_eq!(
        body(&same.request(Login, &endpoint(same), &fields).unwrap()),
        "a=1&auth=2&b=3"
    );
}

#[test]
fn a_cycle_and_a_missing_base_are_told_once_each() {
    let files = [
        file("a", "extends = \"b\""),
        file("b", "extends = \"a\""),
        file("c", "extends = \"a\""),
        file("d", "extends = \"oaut2\""),
        file("e", "extends = \"d\""),
        file("self", "extends = \"self\""),
    ];
    let errors = Catalog::builtin().with_files(files).unwrap_err();
    let messages: Vec<String> = errors
        .iter()
        .map(|error| {
            let one = &error.diagnostics().kept()[0];
            let (line, column) = one.position().unwrap();
            format!("{}:{line}:{column}: {}", one.file(), one.message())
        })
        .collect();
    assert_eq!(
        messages,
        [
            "a.toml:1:11: `a` extends itself through `b`",
            "b.toml:1:11: `b` extends itself through `a`",
            "d.toml:1:11: there is no dialect `oaut2`",
            "self.toml:1:11: `self` extends itself through `self`",
        ]
    );
    assert!(
        errors[2].diagnostics().kept()[0]
            .help()
            .unwrap()
            .starts_with("did you mean `oauth2`?")
    );
}

#[test]
fn the_depth_of_extends_is_bounded() {
    let mut files = vec![file("d0", "extends = \"oauth2\"")];
    files.extend((1..9).map(|number| {
        file(
            &format!("d{number}"),
            &format!("extends = \"d{}\"", number - 1),
        )
    }));
    let errors = Catalog::builtin().with_files(files.clone()).unwrap_err();
    assert_eq!(
        errors[0].diagnostics().kept()[0].to_string(),
        "d8.toml:1:11: a dialect can have at most 8 ancestors"
    );
    files.pop();
    assert!(Catalog::builtin().with_files(files).is_ok());
}

#[test]
fn a_broken_file_leaves_the_catalog_as_it_was() {
    let catalog = Catalog::builtin();
    let errors = catalog
        .with_files([
            file("good", "extends = \"oauth2\""),
            file("bad", "path = 1"),
        ])
        .unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(catalog.find("good").is_err());
    let errors = catalog
        .with_files([file("jwt-api", "extends = \"oauth2\"")])
        .unwrap_err();
    assert_eq!(
        errors[0].diagnostics().kept()[0].message(),
        "there is a dialect `jwt-api` already"
    );
    let errors = catalog
        .with_files([
            file("x/a", "extends = \"oauth2\""),
            file("y/a", "extends = \"oauth2\""),
        ])
        .unwrap_err();
    assert_eq!(
        errors[0].diagnostics().kept()[0].to_string(),
        "y/a.toml:1:1: there is a dialect `a` already; rename the file; the new dialect can say `extends = \"a\"`"
    );
}

#[test]
fn the_digest_follows_what_a_dialect_does_and_not_its_words() {
    let text = "documentation = \"first\"\n[login]\npath = \"/l\"\nbody = \"none\"\n";
    let digest = dialect(text).digest();
    assert_eq!(digest.len(), 16);
    assert_eq!(digest, dialect(&text.replace("first", "second")).digest());
    assert_eq!(digest, dialect(&format!("# a comment\n{text}")).digest());
    assert_ne!(digest, dialect(&text.replace("/l", "/m")).digest());
}

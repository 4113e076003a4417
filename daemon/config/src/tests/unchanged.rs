//! What a reload keeps of what is in force.

use super::*;

const DIALECT: &str = "extends = \"jwt-api\"\nsummary = \"one\"\n";

fn site(accounts: &str) -> Site {
    let head = "dialect_dir = \"dialects\"\n[defaults]\nallow = [{ user = 7 }]\n";
    Site::new(&format!("{head}{accounts}")).with("dialects/own.toml", DIALECT)
}

fn table(name: &str, lines: &str) -> String {
    format!(
        "[account.{name}]\nprovider = \"own\"\nbase_url = \"https://example.com\"\nusername = \"u\"\npassword = {{ file = \"/p/{name}\" }}\n{lines}\n"
    )
}

/// What is read of `after` where what was read of `before` is in force.
fn reloaded(before: &Config, after: &Site) -> Config {
    after.good_after(&|name| {
        let mut all = before.accounts.iter();
        all.find(|account| account.name == *name).cloned()
    })
}

fn is_kept(before: &Config, after: &Config, name: &str) -> bool {
    Arc::ptr_eq(&account(before, name), &account(after, name))
}

#[test]
fn what_is_the_same_is_kept_and_what_differs_in_anything_is_not() {
    let changes = [
        "allow = [{ user = 8 }]",
        "refresh = \"always\"",
        "assumed_lifetime = \"5m\"",
        "api = { urls = \"/v2\" }",
        "issuer = \"https://id.example.com\"",
        "pacing = { logins = { burst = 1, every = \"1h\" } }",
        "proxy = \"none\"",
        "client_id = \"c\"",
    ];
    for change in changes {
        let own = [table("a", ""), table("b", ""), table("c", "")].concat();
        let before = site(&own).good();
        let own = [table("a", ""), table("b", change), table("d", "")].concat();
        let after = reloaded(&before, &site(&own));
        assert!(is_kept(&before, &after, "a"), "{change}");
        assert!(!is_kept(&before, &after, "b"), "{change}");
        let again = reloaded(&after, &site(&own));
        for name in ["a", "b", "d"] {
            assert!(is_kept(&after, &again, name), "{change}: {name}");
        }
        // Those that are not kept share with the others what they have in common.
        let (a, d) = (account(&again, "a"), account(&again, "d"));
        assert!(Arc::ptr_eq(&a.dialect, &d.dialect), "{change}");
        assert!(Arc::ptr_eq(&a.allow, &d.allow), "{change}");
    }
}

#[test]
fn another_place_of_a_secret_address_dialect_or_default_keeps_nothing() {
    let own = table("a", "");
    let before = site(&own).good();
    let mut others = vec![
        site(&own.replace("/p/a", "/q/a")),
        site(&own.replace("example.com", "example.org")),
        site(&own.replace("\"u\"", "\"v\"")),
        site(&own).with("dialects/own.toml", &DIALECT.replace("one", "two")),
    ];
    let words = fs::read_to_string(others[0].path("tokend.toml")).expect("read");
    others.push(
        site("").with(
            "tokend.toml",
            &words
                .replace("/q/a", "/p/a")
                .replace("user = 7", "user = 8"),
        ),
    );
    for (number, other) in others.iter().enumerate() {
        let after = reloaded(&before, other);
        assert!(!is_kept(&before, &after, "a"), "{number}");
    }
}

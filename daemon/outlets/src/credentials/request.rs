//! What a connection asks for: a credential for a unit.
//!
//! Owns the address that systemd gives its end of the connection. Any process can choose such an address, so nothing in it is proof.

use tokend_proto::AccountName;

use super::content::Format;

/// The longest name of a unit (systemd's UNIT_NAME_MAX), and of a credential (NAME_MAX).
const LONGEST: usize = 255;
/// The most digits of the random number.
const DIGITS: usize = 16;

/// A credential that is asked for, as the address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRequest {
    unit: Box<str>,
    id: Box<str>,
}

impl CredentialRequest {
    /// Reads an abstract address, without its leading zero byte: a random number in hexadecimal, `unit`, the unit, the credential. No unit
    /// and no credential has a slash in its name.
    pub fn read(address: &[u8]) -> Option<Self> {
        let mut parts = address.split(|byte| *byte == b'/');
        let mut next = || parts.next().and_then(|part| str::from_utf8(part).ok());
        let (number, word, unit, id) = (next()?, next()?, next()?, next()?);
        let is_whole = parts.next().is_none()
            && is_number(number)
            && word == "unit"
            && is_unit(unit)
            && is_id(id);
        is_whole.then(|| Self {
            unit: unit.into(),
            id: id.into(),
        })
    }

    /// The unit that the credential is for, in systemd's escaped form.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The name of the credential.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the credential's name can mean, the likeliest first: an account, or an account and a format.
    pub fn meanings(&self) -> impl Iterator<Item = (AccountName, Format)> + '_ {
        let suffixed = Format::SUFFIXES
            .iter()
            .filter_map(|(suffix, format)| Some((self.id.strip_suffix(suffix)?, *format)));
        let all = std::iter::once((&*self.id, Format::Plain)).chain(suffixed);
        all.filter_map(|(name, format)| Some((AccountName::try_from(name).ok()?, format)))
    }
}

fn is_number(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (1..=DIGITS).contains(&text.len()) && text.bytes().all(is_digit)
}

fn is_unit(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_allowed)
}

fn is_id(text: &str) -> bool {
    let is_allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b':';
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(address: &str) -> Option<(String, String)> {
        let request = CredentialRequest::read(address.as_bytes())?;
        Some((request.unit().to_owned(), request.id().to_owned()))
    }

    #[test]
    fn addresses_of_systemd_are_read() {
        for (address, unit, id) in [
            // As systemd 252 made them.
            (
                "f765e927f9a0750b/unit/demo-a.service/beta",
                "demo-a.service",
                "beta",
            ),
            (
                r"1/unit/tmpl@a\x2fb-c.service/ads.json",
                r"tmpl@a\x2fb-c.service",
                "ads.json",
            ),
            ("0/unit/a.socket/x y", "a.socket", "x y"),
        ] {
            assert_eq!(read(address), Some((unit.into(), id.into())), "{address}");
        }
    }

    #[test]
    fn other_addresses_are_not() {
        let long = "a".repeat(256);
        for address in [
            "",
            "/",
            "///",
            "1/unit/a.service",
            "1/unit/a.service/",
            "1/unit//ads",
            "/unit/a.service/ads",
            "1/unit/a.service/ads/",
            "1/unit/a.service/ads/x",
            "1//unit/a.service/ads",
            "1/units/a.service/ads",
            "1/UNIT/a.service/ads",
            "g/unit/a.service/ads",
            "F/unit/a.service/ads",
            "12345678901234567/unit/a.service/ads",
            "-1/unit/a.service/ads",
            "1/unit/a b.service/ads",
            "1/unit/a.service\n/ads",
            "1/unit/a.service/ads\n",
            "1/unit/a.service/a:b",
            "1/unit/ä.service/ads",
            "1/unit/a.service/ä",
            "\u{0}1/unit/a.service/ads",
            &format!("1/unit/{long}/ads"),
            &format!("1/unit/a.service/{long}"),
        ] {
            assert_eq!(read(address), None, "{address:?}");
        }
        assert_eq!(CredentialRequest::read(b"1/unit/a.service/\xff"), None);
    }

    #[test]
    fn an_exact_name_comes_before_a_suffix() {
        let meanings = |id: &str| {
            let request = CredentialRequest::read(format!("1/unit/a.service/{id}").as_bytes());
            let of = |(name, format): (AccountName, Format)| (name.to_string(), format);
            request.unwrap().meanings().map(of).collect::<Vec<_>>()
        };
        let plain = |name: &str| (name.to_owned(), Format::Plain);
        assert_eq!(meanings("ads"), [plain("ads")]);
        assert_eq!(meanings("ads.txt"), [plain("ads.txt")]);
        let json = ("ads".to_owned(), Format::Json);
        assert_eq!(meanings("ads.json"), [plain("ads.json"), json]);
        let header = ("ads.json".to_owned(), Format::Header);
        assert_eq!(
            meanings("ads.json.header"),
            [plain("ads.json.header"), header]
        );
        let curl = ("ads".to_owned(), Format::Curl);
        assert_eq!(meanings("ads.curl"), [plain("ads.curl"), curl]);
        // An account's name is shorter than that of a credential, and has fewer characters.
        let longest = "a".repeat(AccountName::MAX_LEN);
        assert_eq!(
            meanings(&format!("{longest}.json")),
            [(longest, Format::Json)]
        );
        assert_eq!(meanings(".json"), []);
        assert_eq!(meanings("a b"), []);
    }

    proptest! {
        #[test]
        fn no_address_is_too_strange(address in any::<Vec<u8>>()) {
            let _either = CredentialRequest::read(&address);
        }

        #[test]
        fn what_is_read_is_what_was_written(number in any::<u64>(), unit in r"[a-zA-Z0-9:_.\\@-]{1,60}", id in "[ -.0-9;-~]{1,60}") {
            let address = format!("{number:x}/unit/{unit}/{id}");
            prop_assert_eq!(read(&address), Some((unit, id)));
        }
    }
}

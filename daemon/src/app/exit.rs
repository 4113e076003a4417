//! Whether an error that ends the daemon needs a person or a restart.
//!
//! Owns the choice between exit codes 78 and 75. It goes by the types of errors and never by their texts.

use tokend_cli::arguments::{is_lasting, is_mistake_of_store};
use tokend_store::StoreError;

use crate::reload::NotApplied;
use crate::server::listen::InheritError;
use tokend_process::listen::{ListenError, Obstacle};
use tokend_upstream::ClientError;

/// Whether a person has to mend something before the daemon can run. Otherwise a restart may help: the disk was full, another daemon ran,
/// or a part of this one died.
pub(crate) fn is_mistake(error: &anyhow::Error) -> bool {
    if let Some(is_mistake) = is_mistake_of_store(error) {
        return is_mistake;
    }
    if let Some(error) = error.downcast_ref::<ListenError>() {
        return match &error.obstacle {
            Obstacle::Taken => false,
            Obstacle::Locked(_) => !error.is_shortage(),
            Obstacle::Io(_, why) | Obstacle::NoDirectory(why) => is_lasting(why),
            _ => true,
        };
    }
    if error.is::<InheritError>() {
        return true;
    }
    // Damage that is not found by opening the store, only by reading its records.
    if let Some(NotApplied::Store(error)) = error.downcast_ref() {
        return matches!(error, StoreError::Corrupt { .. });
    }
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return !error.is_shortage();
    }
    let error = error.downcast_ref::<tokend_audit::PrepareError>();
    error.is_some_and(|error| !error.is_shortage())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use tokend_store::{IoFailure, KeyError, OpenError, RotateError, StoreFailure};

    use super::*;
    use tokend_process::listen::Usage;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of errors")]
    fn what_only_a_person_can_mend_is_told_from_what_may_pass() {
        let path = PathBuf::from("/var/lib/tokend");
        let io = |kind: io::ErrorKind| {
            OpenError::Io(IoFailure {
                doing: "write",
                path: "/var/lib/tokend".into(),
                source: kind.into(),
            })
        };
        let wrong_key = || OpenError::WrongKey(path.clone());
        let at = || PathBuf::from("/var/lib/tokend/tokend.redb");
        let absent = || io::Error::from(io::ErrorKind::NotFound);
        let mistakes: [anyhow::Error; 11] = [
            ClientError::ExtraCaUnread {
                path: "/etc/ssl/extra.pem".to_owned(),
                why: absent(),
            }
            .into(),
            tokend_audit::PrepareError::File {
                path: "/var/log/tokend/audit".into(),
                why: absent(),
            }
            .into(),
            wrong_key().into(),
            // Settling an interrupted change of the key reports its errors with its own type.
            RotateError::Open(wrong_key()).into(),
            RotateError::Key(KeyError::NotAFile(path.clone())).into(),
            io(io::ErrorKind::PermissionDenied).into(),
            io(io::ErrorKind::IsADirectory).into(),
            NotApplied::Store(StoreError::Corrupt {
                at: at(),
                detail: "a page".to_owned(),
            })
            .into(),
            KeyError::NotAFile(path.clone()).into(),
            InheritError::TooMany { count: 2 }.into(),
            ClientError::Client("no".to_owned()).into(),
        ];
        for error in mistakes {
            assert!(is_mistake(&error), "{error}");
        }
        let short = || io::Error::from(rustix::io::Errno::MFILE);
        let passing: [anyhow::Error; 12] = [
            ClientError::ExtraCaUnread {
                path: "/etc/ssl/extra.pem".to_owned(),
                why: short(),
            }
            .into(),
            ClientError::Bridge {
                directory: "/tmp".to_owned(),
                why: short(),
            }
            .into(),
            tokend_audit::PrepareError::File {
                path: "/var/log/tokend/audit".into(),
                why: short(),
            }
            .into(),
            RotateError::InDoubtElsewhere {
                source: Box::new(io(io::ErrorKind::Other)),
            }
            .into(),
            RotateError::NotInPlace {
                path: at(),
                next: at(),
                source: Box::new(KeyError::NoRandomness),
            }
            .into(),
            NotApplied::Store(StoreError::Unavailable {
                cause: StoreFailure::Io,
                at: at(),
                detail: "EIO".to_owned(),
            })
            .into(),
            RotateError::Open(io(io::ErrorKind::StorageFull)).into(),
            OpenError::InUse {
                dir: path.clone(),
                pid: None,
            }
            .into(),
            io(io::ErrorKind::StorageFull).into(),
            KeyError::NoRandomness.into(),
            ListenError {
                path,
                usage: Usage::Clients,
                obstacle: Obstacle::Taken,
            }
            .into(),
            anyhow::anyhow!("the task that decides died"),
        ];
        for error in passing {
            assert!(!is_mistake(&error), "{error}");
        }
    }
}

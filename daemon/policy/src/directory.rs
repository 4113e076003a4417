//! The user and group databases of the system.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

/// The id that is none (chown(2)): no process ever has it. Stands in a rule for a name that is not known, so that it matches nobody.
pub const NOT_KNOWN: u32 = u32::MAX;

/// How long a name may take. What answers may be a directory service that is not up yet, or hangs; after the first name that takes longer
/// it is not asked again by this [`Directory`].
const PATIENCE: Duration = Duration::from_secs(5);

/// How many threads may be left to wait for an answer.
const MOST_WAITING: usize = 4;

/// Those that wait.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The user and group databases of the system, asked once for each name.
///
/// Lives as long as one loading of the configuration. Who is a member of which group is not asked: the kernel says which groups a
/// process has.
#[derive(Debug)]
pub struct Directory {
    source: Source,
    users: HashMap<Box<str>, Option<u32>>,
    groups: HashMap<Box<str>, Option<u32>>,
}

#[derive(Debug)]
enum Source {
    System,
    /// It did not answer.
    Silent,
    Fixed(Vec<(&'static str, u32)>, Vec<(&'static str, u32)>),
}

impl Directory {
    /// The databases behind getpwnam(3) and getgrnam(3).
    pub fn system() -> Self {
        Self::new(Source::System)
    }

    /// Databases with only these entries, for whoever must not depend on the machine.
    pub fn fixed(users: Vec<(&'static str, u32)>, groups: Vec<(&'static str, u32)>) -> Self {
        Self::new(Source::Fixed(users, groups))
    }

    /// The id of a user told by name or number. `None` when there is no such name; a number need not have one.
    pub fn user(&mut self, user: &str) -> Option<u32> {
        if let Some(known) = self.users.get(user) {
            return *known;
        }
        let uid = number(user).or_else(|| self.source.uid(user));
        self.users.insert(user.into(), uid);
        uid
    }

    /// The id of a group told by name or number. `None` when there is no such name; a number need not have one.
    pub fn group(&mut self, group: &str) -> Option<u32> {
        if let Some(known) = self.groups.get(group) {
            return *known;
        }
        let gid = number(group).or_else(|| self.source.gid(group));
        self.groups.insert(group.into(), gid);
        gid
    }

    /// The name of a user of the system.
    pub fn name_of_user(uid: u32) -> Option<String> {
        let user = uzers::get_user_by_uid(uid)?;
        user.name().to_str().map(str::to_owned)
    }

    /// The groups a user of the system would have after logging in, its own first. None, where there is no such user.
    pub fn groups_of(uid: u32) -> Vec<u32> {
        let Some(user) = uzers::get_user_by_uid(uid) else {
            return Vec::new();
        };
        let own = user.primary_group_id();
        let more = uzers::get_user_groups(user.name(), own).unwrap_or_default();
        let more = more.iter().map(uzers::Group::gid).filter(|gid| *gid != own);
        std::iter::once(own).chain(more).collect()
    }

    /// The name of a group of the system.
    pub fn name_of_group(gid: u32) -> Option<String> {
        let group = uzers::get_group_by_gid(gid)?;
        group.name().to_str().map(str::to_owned)
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            users: HashMap::new(),
            groups: HashMap::new(),
        }
    }
}

impl Source {
    fn uid(&mut self, name: &str) -> Option<u32> {
        match self {
            Self::System => {
                let name = name.to_owned();
                self.ask(move || uzers::get_user_by_name(&name).map(|user| user.uid()))
            }
            Self::Silent => None,
            Self::Fixed(users, _) => find(users, name),
        }
    }

    fn gid(&mut self, name: &str) -> Option<u32> {
        match self {
            Self::System => {
                let name = name.to_owned();
                self.ask(move || uzers::get_group_by_name(&name).map(|group| group.gid()))
            }
            Self::Silent => None,
            Self::Fixed(_, groups) => find(groups, name),
        }
    }

    /// Asks in a thread of its own, which is left behind where no answer comes.
    fn ask(&mut self, question: impl FnOnce() -> Option<u32> + Send + 'static) -> Option<u32> {
        let answer = within(PATIENCE, question);
        if answer.is_none() {
            *self = Self::Silent;
        }
        answer.flatten()
    }
}

/// What a question comes to, if it does in time.
fn within<T: Send + 'static>(
    patience: Duration,
    question: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if WAITING.load(Ordering::Relaxed) >= MOST_WAITING {
        return None;
    }
    let (reply, answer) = sync_channel(1);
    WAITING.fetch_add(1, Ordering::Relaxed);
    let asking = thread::Builder::new().name("names".to_owned());
    let asked = asking.spawn(move || {
        let found = question();
        WAITING.fetch_sub(1, Ordering::Relaxed);
        // Whoever asked may have stopped waiting.
        let _too_late = reply.send(found);
    });
    if asked.is_err() {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    answer.recv_timeout(patience).ok()
}

fn find(entries: &[(&'static str, u32)], name: &str) -> Option<u32> {
    let found = entries.iter().find(|(own, _)| *own == name);
    found.map(|(_, id)| *id)
}

/// `u32::MAX` is "no id" to the kernel: chown(2).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_resolve_alike() {
        let mut directory = Directory::fixed(vec![("deploy", 1000)], vec![("ci", 50)]);
        assert_eq!(directory.user("deploy"), Some(1000));
        assert_eq!(directory.user("1000"), Some(1000));
        assert_eq!(directory.user("4242"), Some(4242), "a number needs no name");
        assert_eq!(directory.group("ci"), Some(50));
        assert_eq!(directory.group("51"), Some(51));
    }

    #[test]
    fn unknown_names_and_impossible_numbers_are_told() {
        let mut directory = Directory::fixed(Vec::new(), Vec::new());
        for user in ["ghost", "", "-1", "+1", "4294967295", "4294967296", "0x10"] {
            assert_eq!(directory.user(user), None, "{user}");
            assert_eq!(directory.user(user), None, "{user}, asked again");
            assert_eq!(directory.group(user), None, "{user}");
        }
    }

    #[test]
    fn a_directory_service_that_hangs_is_not_waited_for() {
        let mut ends = Vec::new();
        for _ in 0..MOST_WAITING {
            let (end, wait) = sync_channel::<()>(0);
            ends.push(end);
            let answer = within(Duration::from_millis(1), move || wait.recv().is_ok());
            assert_eq!(answer, None);
        }
        assert_eq!(
            within(PATIENCE, || 1),
            None,
            "no more threads are left behind"
        );
        drop(ends);
        while WAITING.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        assert_eq!(within(PATIENCE, || 1), Some(1));
        let mut silent = Directory::new(Source::Silent);
        assert_eq!(silent.user("root"), None);
        assert_eq!(silent.user("0"), Some(0), "a number needs nobody");
    }

    #[test]
    fn the_system_knows_root() {
        let mut directory = Directory::system();
        assert_eq!(directory.user("root"), Some(0));
        assert_eq!(directory.group("root"), Some(0));
        assert_eq!(Directory::name_of_user(0).as_deref(), Some("root"));
        assert_eq!(Directory::groups_of(0).first(), Some(&0));
        assert!(Directory::groups_of(u32::MAX).is_empty());
        assert_eq!(Directory::name_of_group(0).as_deref(), Some("root"));
        assert_eq!(directory.user("no-such-user-anywhere"), None);
        assert_eq!(directory.group("no-such-group-anywhere"), None);
    }
}

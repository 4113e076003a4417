//! The user and group databases of the system.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// The invalid id (chown(2)), which no process ever has. In a rule it stands for an unknown name, so that the
/// rule matches nobody.
pub const NOT_KNOWN: u32 = u32::MAX;

/// How long the look-up of a name may take. The answer may come from a directory service that is not up yet, or
/// hangs. After the first name that takes longer, this [`Directory`] does not ask the service again and uses
/// only the system's own files.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many threads may be left waiting for an answer.
const MOST_WAITING: usize = 4;

/// The longest of the system's own files that is read.
const LONGEST_FILE: u64 = 16 << 20;

/// The threads that wait.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// The user and group databases of the system, asked once for each name.
///
/// Lives as long as one loading of the configuration. Who is a member of which group is not asked: the kernel says which groups a
/// process has.
#[derive(Debug)]
pub struct Directory {
    source: Source,
    users: HashMap<Box<str>, NameAnswer>,
    groups: HashMap<Box<str>, NameAnswer>,
    before: Names,
}

/// The kind of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameKind {
    /// A user.
    User,
    /// A group.
    Group,
}

impl NameKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

/// The result of looking up a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameAnswer {
    /// The id of the user or group with this name.
    Known(u32),
    /// No user or group has this name.
    Nobody,
    /// The name service does not answer.
    None,
}

impl NameAnswer {
    /// The id, where it is known.
    pub fn id(self) -> Option<u32> {
        match self {
            Self::Known(id) => Some(id),
            Self::Nobody | Self::None => None,
        }
    }

    fn of(found: Option<u32>) -> Self {
        found.map_or(Self::Nobody, Self::Known)
    }

    fn or_as_before(self, before: &HashMap<Box<str>, u32>, name: &str) -> Self {
        match self {
            Self::None => before.get(name).map_or(self, |id| Self::Known(*id)),
            answer => answer,
        }
    }
}

/// Names with the ids they had when they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    users: HashMap<Box<str>, u32>,
    groups: HashMap<Box<str>, u32>,
}

#[derive(Debug)]
enum Source {
    System,
    /// It did not answer.
    Silent,
    Fixed(Vec<(&'static str, u32)>, Vec<(&'static str, u32)>),
}

impl Directory {
    /// One whose name service does not answer, so that only what the system's own files have is known.
    pub fn silent() -> Self {
        Self::new(Source::Silent)
    }

    /// The same, but a name without an answer keeps the id it had.
    #[must_use]
    pub fn remembering(self, before: Names) -> Self {
        Self { before, ..self }
    }

    /// Whether so many threads wait for an answer that no further name is looked up.
    pub fn is_stuck() -> bool {
        WAITING.load(Ordering::Relaxed) >= MOST_WAITING
    }

    /// The names that are known so far.
    pub fn names(&self) -> Names {
        let known = |of: &HashMap<Box<str>, NameAnswer>| {
            of.iter()
                .filter_map(|(name, answer)| Some((name.clone(), answer.id()?)))
                .collect()
        };
        Names {
            users: known(&self.users),
            groups: known(&self.groups),
        }
    }

    /// The databases behind getpwnam(3) and getgrnam(3).
    pub fn system() -> Self {
        Self::new(Source::System)
    }

    /// Databases with only these entries, for tests that must not depend on the machine.
    pub fn fixed(users: Vec<(&'static str, u32)>, groups: Vec<(&'static str, u32)>) -> Self {
        Self::new(Source::Fixed(users, groups))
    }

    /// The id of a user or group given by name or number, or why there is none. A number need not have a name.
    pub fn ask(&mut self, kind: NameKind, name: &str) -> NameAnswer {
        let (answers, before) = match kind {
            NameKind::User => (&mut self.users, &self.before.users),
            NameKind::Group => (&mut self.groups, &self.before.groups),
        };
        if let Some(known) = answers.get(name) {
            return *known;
        }
        let answer = match number(name) {
            Some(id) => NameAnswer::Known(id),
            None => self.source.id(kind, name).or_as_before(before, name),
        };
        answers.insert(name.into(), answer);
        answer
    }

    /// The id of a user, as with [`Directory::ask`].
    pub fn user(&mut self, user: &str) -> Option<u32> {
        self.ask(NameKind::User, user).id()
    }

    /// The id of a group, as with [`Directory::ask`].
    pub fn group(&mut self, group: &str) -> Option<u32> {
        self.ask(NameKind::Group, group).id()
    }

    /// The name of a user of the system. `None` if there is none, or if the name service does not answer: the
    /// name is only displayed.
    pub fn name_of_user(uid: u32) -> Option<String> {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
        Some(user.name)
    }

    /// The home directory of a user of the system.
    pub fn home_of_user(uid: u32) -> Option<PathBuf> {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten()?;
        Some(user.dir)
    }

    /// The groups a user of the system would have after logging in, its own first. None, where there is no such user.
    ///
    /// # Errors
    ///
    /// The sentence that says why that is not known.
    pub fn groups_of(uid: u32) -> Result<Vec<u32>, String> {
        let failed =
            |errno: Errno| format!("the groups of user {uid} are not known: {}", errno.desc());
        let Some(user) = User::from_uid(Uid::from_raw(uid)).map_err(failed)? else {
            return Ok(Vec::new());
        };
        let name = CString::new(user.name).map_err(|_| failed(Errno::EINVAL))?;
        let more = getgrouplist(&name, user.gid).map_err(failed)?;
        let more = more.into_iter().filter(|gid| *gid != user.gid);
        let all = std::iter::once(user.gid).chain(more);
        Ok(all.map(Gid::as_raw).collect())
    }

    /// The name of a group of the system, as with users.
    pub fn name_of_group(gid: u32) -> Option<String> {
        let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten()?;
        Some(group.name)
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            users: HashMap::new(),
            groups: HashMap::new(),
            before: Names::default(),
        }
    }
}

impl Source {
    fn id(&mut self, kind: NameKind, name: &str) -> NameAnswer {
        let owned = name.to_owned();
        let question = move || match kind {
            NameKind::User => Ok(User::from_name(&owned)?.map(|user| user.uid.as_raw())),
            NameKind::Group => Ok(Group::from_name(&owned)?.map(|group| group.gid.as_raw())),
        };
        let file = match kind {
            NameKind::User => "/etc/passwd",
            NameKind::Group => "/etc/group",
        };
        match (self, kind) {
            (source @ Self::System, _) => source.ask(question, file, name),
            (Self::Silent, _) => own(file, name),
            (Self::Fixed(entries, _), NameKind::User)
            | (Self::Fixed(_, entries), NameKind::Group) => {
                let found = entries.iter().find(|(own, _)| *own == name);
                NameAnswer::of(found.map(|(_, id)| *id))
            }
        }
    }

    /// Asks in a thread of its own, which is left behind if no answer comes. A service that fails at once has
    /// not said that the name does not exist, and may answer the next question.
    fn ask(
        &mut self,
        question: impl FnOnce() -> Result<Option<u32>, Errno> + Send + 'static,
        file: &str,
        name: &str,
    ) -> NameAnswer {
        match within(PATIENCE, question) {
            Some(Ok(found)) => return NameAnswer::of(found),
            Some(Err(_failed)) => {}
            None => *self = Self::Silent,
        }
        own(file, name)
    }
}

/// The ids in one of the system's own files. Reading them needs no service, so these names are known even if
/// every service is silent.
fn own(file: &str, name: &str) -> NameAnswer {
    let mut text = Vec::new();
    let read = File::open(file).and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut text));
    let id = read
        .ok()
        .and_then(|_| entry(&String::from_utf8_lossy(&text), name));
    id.map_or(NameAnswer::None, NameAnswer::Known)
}

/// The third field of the line whose first is the name: passwd(5), group(5).
fn entry(text: &str, name: &str) -> Option<u32> {
    let mut lines = text.lines().map(|line| line.split(':'));
    let mut fields = lines.find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
    number(fields.nth(1)?)
}

/// The answer to a question, if it comes in time.
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
    let started = asking.spawn(move || {
        let found = question();
        WAITING.fetch_sub(1, Ordering::Relaxed);
        // The caller may have stopped waiting.
        let _too_late = reply.send(found);
    });
    if started.is_err() {
        WAITING.fetch_sub(1, Ordering::Relaxed);
        return None;
    }
    answer.recv_timeout(patience).ok()
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
        assert!(Directory::is_stuck());
        drop(ends);
        while WAITING.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        assert_eq!(within(PATIENCE, || 1), Some(1));
        let mut silent = Directory::silent();
        assert_eq!(silent.ask(NameKind::User, "nobody-local"), NameAnswer::None);
        assert_eq!(
            silent.ask(NameKind::User, "root"),
            NameAnswer::Known(0),
            "a local name"
        );
        assert_eq!(silent.ask(NameKind::Group, "root"), NameAnswer::Known(0));
        assert_eq!(silent.user("0"), Some(0), "a number needs nobody");
    }

    #[test]
    fn a_name_that_is_not_answered_keeps_the_id_it_had_and_one_that_is_gone_does_not() {
        let mut before = Directory::fixed(vec![("remote", 7000)], vec![("remote-staff", 7001)]);
        before.user("remote");
        before.group("remote-staff");
        let mut silent = Directory::silent().remembering(before.names());
        assert_eq!(silent.user("remote"), Some(7000));
        assert_eq!(silent.group("remote-staff"), Some(7001));
        assert_eq!(
            silent.ask(NameKind::Group, "remote"),
            NameAnswer::None,
            "no group"
        );
        let nobody = Directory::fixed(Vec::new(), Vec::new());
        let mut gone = nobody.remembering(before.names());
        assert_eq!(gone.ask(NameKind::User, "remote"), NameAnswer::Nobody);
        assert_eq!(entry("a:x:5:1::/:\nab:x:6:1::/:\n+::::\n", "ab"), Some(6));
        assert_eq!(entry("a:x\nb:x:no:1\n", "b"), None);
    }

    #[test]
    fn a_service_that_fails_at_once_has_not_said_that_nobody_has_the_name() {
        let mut system = Source::System;
        for failed in [
            Errno::ENOENT,
            Errno::ECONNREFUSED,
            Errno::EIO,
            Errno::EMFILE,
        ] {
            let answer = system.ask(move || Err(failed), "/etc/passwd", "remote");
            assert_eq!(answer, NameAnswer::None, "{failed}");
            let local = system.ask(move || Err(failed), "/etc/passwd", "root");
            assert_eq!(local, NameAnswer::Known(0), "{failed}: a local name");
        }
        assert!(matches!(system, Source::System), "the next may be answered");
        let nobody = system.ask(|| Ok(None), "/etc/passwd", "remote");
        assert_eq!(nobody, NameAnswer::Nobody);
        let mut before = Directory::fixed(vec![("remote", 7000)], Vec::new());
        before.user("remote");
        let kept = NameAnswer::None.or_as_before(&before.names().users, "remote");
        assert_eq!(kept, NameAnswer::Known(7000), "as it was in force");
    }

    #[test]
    fn the_system_knows_root() {
        let mut directory = Directory::system();
        assert_eq!(directory.user("root"), Some(0));
        assert_eq!(directory.group("root"), Some(0));
        assert_eq!(Directory::name_of_user(0).as_deref(), Some("root"));
        assert_eq!(Directory::groups_of(0).unwrap().first(), Some(&0));
        assert!(Directory::groups_of(u32::MAX).unwrap().is_empty());
        assert_eq!(Directory::name_of_group(0).as_deref(), Some("root"));
        assert_eq!(directory.user("no-such-user-anywhere"), None);
        assert_eq!(directory.group("no-such-group-anywhere"), None);
    }
}

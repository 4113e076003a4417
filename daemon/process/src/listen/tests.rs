//! How a socket comes to be, and is left to whoever listens on it.

use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Barrier;

use super::*;

fn bind(path: &Path, mode: u32) -> Result<Bound, ListenError> {
    super::bind(path, mode, Usage::Clients)
}

/// As the relay, the daemon and its metrics are refused a place, they name the option that each of them has.
#[test]
fn whoever_is_refused_a_place_is_told_of_an_option_that_they_have() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken");
    let _taken = bind(&taken, 0o600).unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "data").unwrap();
    let long = dir.path().join("x".repeat(120));
    // Where not even root can make anything.
    let nowhere = Path::new("/proc/tokend/s").to_path_buf();
    let denied = |usage| {
        let why = io::ErrorKind::PermissionDenied.into();
        at(&nowhere, usage)(Obstacle::Io("listen on the socket", why))
    };
    for (usage, named) in [
        (
            Usage::Clients,
            "(--socket PATH, or `socket` of the configuration)",
        ),
        (
            Usage::Metrics,
            "(`listen` in [metrics] of the configuration)",
        ),
        (Usage::Relay, "(--listen PATH)"),
    ] {
        let paths = [&taken, &file, &long, &nowhere];
        let refused = paths.map(|path| super::bind(path, 0o600, usage).unwrap_err());
        for error in refused.into_iter().chain([denied(usage)]) {
            let message = error.to_string();
            assert!(message.ends_with(named), "{usage:?}: {message}");
            let is_of_clients = usage == Usage::Clients;
            assert!(
                is_of_clients || !message.contains("XDG_RUNTIME_DIR"),
                "{message}"
            );
            assert_eq!(
                usage == Usage::Relay,
                !message.contains("configuration"),
                "{message}"
            );
        }
    }
}

#[test]
fn a_socket_has_its_mode_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/tokend.sock");
    for mode in [0o666, 0o660] {
        let bound = bind(&path, mode).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            mode
        );
        UnixStream::connect(&path).unwrap();
        bound.origin.clean_up();
        assert!(!path.exists());
    }
}

#[test]
fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    let bound = bind(&path, 0o600).unwrap();
    assert!(matches!(
        bind(&path, 0o600),
        Err(ListenError {
            obstacle: Obstacle::Taken,
            ..
        })
    ));
    drop(bound);
    assert!(bind(&path, 0o600).is_ok());
}

#[test]
fn of_those_who_begin_to_listen_at_once_one_does_and_can_be_reached() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    for _ in 0..100 {
        drop(UnixListener::bind(&path).unwrap());
        let begin = Barrier::new(4);
        let all: Vec<_> = std::thread::scope(|scope| {
            let starting = [(); 4].map(|()| {
                scope.spawn(|| {
                    begin.wait();
                    bind(&path, 0o600)
                })
            });
            starting.map(|one| one.join().unwrap()).into()
        });
        let (bound, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        let [Ok(bound)] = &bound[..] else {
            panic!("{bound:?} {refused:?}")
        };
        for error in refused {
            assert!(
                matches!(
                    error,
                    Err(ListenError {
                        obstacle: Obstacle::Taken,
                        ..
                    })
                ),
                "{error:?}"
            );
        }
        UnixStream::connect(&path).unwrap();
        bound.origin.clean_up();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn whoever_is_about_to_listen_keeps_others_out_until_then_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    let alone = Alone::at(&path).unwrap();
    assert!(matches!(
        bind(&path, 0o600),
        Err(ListenError {
            obstacle: Obstacle::Taken,
            ..
        })
    ));
    drop(alone);
    // One that died in the middle has left the file, and no lock.
    std::fs::write(dir.path().join("s.lock"), "").unwrap();
    let bound = bind(&path, 0o600).unwrap();
    let alone = Alone::at(&path).unwrap();
    bound.origin.clean_up();
    assert!(path.exists(), "whoever begins to listen sees to it");
    drop(alone);
    bound.origin.clean_up();
    assert!(!path.exists());
}

#[test]
fn one_that_is_stopped_and_has_no_room_for_connections_is_alive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let unix = || socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let (stopped, address) = (unix(), SocketAddrUnix::new(&path).unwrap());
    rustix::net::bind(&stopped, &address).unwrap();
    rustix::net::listen(&stopped, 0).unwrap();
    let mut waiting = Vec::new();
    loop {
        let next = unix();
        match connect(&next, &address) {
            Ok(()) => waiting.push(next),
            Err(error) => break assert_eq!(error, Errno::AGAIN),
        }
    }
    assert!(matches!(
        bind(&path, 0o600),
        Err(ListenError {
            obstacle: Obstacle::Taken,
            ..
        })
    ));
    drop((stopped, waiting));
    bind(&path, 0o600).unwrap();
}

#[test]
fn what_a_bind_would_be_refused_for_is_seen_before_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/s");
    let checked = |path: &Path| check(path, Usage::Clients, |_| false);
    assert_eq!(checked(&path).unwrap(), PathState::Free);
    assert!(!dir.path().join("run").exists());
    let bound = bind(&path, 0o600).unwrap();
    assert_eq!(checked(&path).unwrap(), PathState::InUse);
    drop(bound);
    assert_eq!(checked(&path).unwrap(), PathState::Free);
    let precious = dir.path().join("precious");
    std::fs::write(&precious, "data").unwrap();
    let too_long = dir.path().join("x".repeat(120));
    let below_a_file = precious.join("s");
    for path in [precious, too_long, below_a_file] {
        let seen = checked(&path).unwrap_err().to_string();
        assert_eq!(seen, bind(&path, 0o600).unwrap_err().to_string());
    }
}

#[test]
fn a_socket_that_is_another_daemons_by_now_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let bound = bind(&path, 0o600).unwrap();
    std::fs::rename(&path, dir.path().join("aside")).unwrap();
    let other = bind(&path, 0o600).unwrap();
    bound.origin.clean_up();
    assert!(path.exists(), "it is the other's");
    other.origin.clean_up();
    assert!(!path.exists());
    // What somebody put in its place is nobody's to remove.
    std::fs::write(&path, "data").unwrap();
    other.origin.clean_up();
    assert!(path.exists());
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious");
    std::fs::write(&path, "data").unwrap();
    assert!(matches!(
        bind(&path, 0o600),
        Err(ListenError {
            obstacle: Obstacle::NotASocket,
            ..
        })
    ));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
    let long = dir.path().join("x".repeat(120));
    assert!(matches!(
        bind(&long, 0o600),
        Err(ListenError {
            obstacle: Obstacle::TooLong,
            ..
        })
    ));
}

#[test]
fn a_lock_that_is_in_the_way_is_named_with_whose_it_is_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let own = rustix::process::geteuid().as_raw();
    type Make = fn(&Path) -> io::Result<()>;
    let makes: [(&str, Make); 2] = [
        ("link", |lock| std::os::unix::fs::symlink("elsewhere", lock)),
        ("directory", |lock| std::fs::create_dir(lock)),
    ];
    for (name, make) in makes {
        let path = dir.path().join(name);
        let lock = dir.path().join(format!("{name}.lock"));
        make(&lock).unwrap();
        let message = bind(&path, 0o600).unwrap_err().to_string();
        let begin = format!("{}: this lock, a file of user {own}, ", lock.display());
        assert!(message.starts_with(&begin), "{message}");
        assert!(
            message.contains("; remove it, as that user or root, if "),
            "{message}"
        );
        assert!(std::fs::symlink_metadata(&lock).is_ok(), "it is left alone");
    }
    // One that a killed start of root left, which a user may not open.
    let left = dir.path().join("left.lock");
    std::fs::write(&left, "").unwrap();
    let why = lock::not_opened(&left, Errno::ACCESS);
    let message = at(&dir.path().join("left"), Usage::Clients)(why);
    assert!(!message.is_shortage());
    let message = message.to_string();
    assert!(
        message.contains("left.lock: this lock, a file of user "),
        "{message}"
    );
    assert!(message.contains("Permission denied"), "{message}");
    // Where there is none, it is the directory that does not let one be made.
    let none = lock::not_opened(&dir.path().join("none.lock"), Errno::ACCESS);
    assert!(matches!(none, Obstacle::Io(..)), "{none:?}");
}

#[test]
fn a_lock_that_another_user_holds_is_not_taken_for_somebody_who_listens() {
    let path = Path::new("/tmp/s");
    let own = rustix::process::geteuid().as_raw();
    let held = |uid| at(path, Usage::Clients)(lock::held("/tmp/s.lock".into(), uid));
    assert!(matches!(held(own).obstacle, Obstacle::Taken));
    let message = held(own + 1);
    assert!(message.is_shortage(), "it may be over by the next start");
    assert_eq!(
        message.to_string(),
        format!(
            "/tmp/s.lock: somebody else holds this lock, a file of user {}, and without it nobody makes the socket /tmp/s; see who holds it (lslocks), stop that, and start again, or use another socket (--socket PATH, or `socket` of the configuration)",
            own + 1
        )
    );
}

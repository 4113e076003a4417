//! The only reader of clocks.
//!
//! Owns the steady clock the engine runs on, the wall clock people read, and the arithmetic between the two. It
//! never lets a step of the wall clock reach the engine, and it never guesses how much time passed across a
//! reboot: it reports that as unknown.

#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use tokend_engine::Timestamp;
use tokend_store::Anchor;

/// 2001-09-09T01:46:40Z. A machine without a clock battery starts in 1970; the pace needs stamps well above zero.
const EARLIEST_ORIGIN_MS: u64 = 1_000_000_000_000;

/// The clocks of this machine. Cheap to clone; every clone reads the same steady clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    boot_id: Box<str>,
    origin_ms: u64,
    boot_at_origin_ms: u64,
}

/// A stored time on the steady clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The time itself.
    pub at: Timestamp,
    /// How much time passed since the anchor was made; `None` if the wall clock is behind the anchor, and then it was counted as none.
    pub elapsed: Option<Duration>,
}

impl Clock {
    /// The clocks of the kernel.
    pub fn system() -> Self {
        Self::new(Source::Kernel, &boot_id())
    }

    /// Now on the steady clock: Unix milliseconds at start, advanced by CLOCK_BOOTTIME. Never steps, counts suspend.
    pub fn steady(&self) -> Timestamp {
        self.steady_at(self.boot_ms())
    }

    fn steady_at(&self, boot_ms: u64) -> Timestamp {
        let passed = boot_ms.saturating_sub(self.0.boot_at_origin_ms);
        Timestamp::from_millis(self.0.origin_ms.saturating_add(passed))
    }

    /// Now on the wall clock, in Unix milliseconds. It may step; use it only for people and for the store.
    pub fn wall_ms(&self) -> i64 {
        self.0.source.wall_ms()
    }

    /// Milliseconds since the machine booted, suspend included.
    pub fn boot_ms(&self) -> u64 {
        millis(self.since_boot())
    }

    /// Time since the machine booted, as fine as the kernel tells it. For how long things take.
    pub fn since_boot(&self) -> Duration {
        self.0.source.since_boot()
    }

    /// The kernel's random name for this boot; empty where it cannot be read, and then equal to no other.
    pub fn boot_id(&self) -> &str {
        &self.0.boot_id
    }

    /// Now on all clocks, to be stored beside times made by [`Clock::to_wall`].
    pub fn anchor(&self) -> Anchor {
        Anchor {
            wall_ms: self.wall_ms(),
            boot_ms: self.boot_ms(),
            boot_id: self.boot_id().to_owned(),
        }
    }

    /// A steady time as Unix milliseconds of the wall clock as it stands now.
    pub fn to_wall(&self, at: Timestamp) -> i64 {
        self.wall_ms().saturating_add(difference(at, self.steady()))
    }

    /// A steady time as Unix milliseconds of the wall clock as it stood at an anchor of this clock.
    ///
    /// All times of a record come from the one reading in its anchor: a step of the wall clock between two readings would shift
    /// what is stored against the anchor it is restored by.
    pub fn to_wall_at(&self, anchor: &Anchor, at: Timestamp) -> i64 {
        let ahead = difference(at, self.steady_at(anchor.boot_ms));
        anchor.wall_ms.saturating_add(ahead)
    }

    /// A stored time (`wall_ms`, Unix milliseconds as told by the wall clock of `anchor`) on the steady clock.
    ///
    /// Within the boot of the anchor this is exact, whatever the wall clock did since. Across a reboot the wall clock is all
    /// there is; where it shows a time before the anchor, the elapsed time counts as none and is reported as unknown.
    pub fn restore(&self, anchor: &Anchor, wall_ms: i64) -> Restored {
        let elapsed = self.elapsed_since(anchor);
        let passed = elapsed.map_or(0, |passed| passed.as_millis());
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let ahead_of_anchor = wall_ms.saturating_sub(anchor.wall_ms);
        let ahead = ahead_of_anchor.saturating_sub(passed);
        let at = Timestamp::from_millis(self.steady().as_millis().saturating_add_signed(ahead));
        Restored { at, elapsed }
    }

    fn elapsed_since(&self, anchor: &Anchor) -> Option<Duration> {
        let same_boot = !anchor.boot_id.is_empty() && anchor.boot_id == self.boot_id();
        let passed = match same_boot {
            true => self.boot_ms().checked_sub(anchor.boot_ms),
            false => u64::try_from(self.wall_ms().saturating_sub(anchor.wall_ms)).ok(),
        };
        passed.map(Duration::from_millis)
    }

    fn new(source: Source, boot_id: &str) -> Self {
        let wall = u64::try_from(source.wall_ms()).unwrap_or(0);
        Self(Arc::new(Inner {
            boot_at_origin_ms: millis(source.since_boot()),
            boot_id: boot_id.into(),
            origin_ms: wall.max(EARLIEST_ORIGIN_MS),
            source,
        }))
    }
}

#[derive(Debug)]
enum Source {
    Kernel,
    #[cfg(any(test, feature = "testing"))]
    Fake(Arc<testing::FakeClock>),
}

#[cfg(any(test, feature = "testing"))]
impl testing::FakeClock {
    /// A clock that shows these times, and the handle that moves it.
    pub fn start(wall_ms: i64, boot_ms: u64, boot_id: &str) -> (Clock, Arc<Self>) {
        let handle = Arc::new(Self::at(wall_ms, boot_ms));
        let clock = Clock::new(Source::Fake(Arc::clone(&handle)), boot_id);
        (clock, handle)
    }
}

impl Source {
    fn wall_ms(&self) -> i64 {
        match self {
            Self::Kernel => kernel_wall_ms(),
            #[cfg(any(test, feature = "testing"))]
            Self::Fake(fake) => fake.wall_ms(),
        }
    }

    fn since_boot(&self) -> Duration {
        match self {
            // The standard library has no such clock.
            Self::Kernel => {
                let time = clock_gettime(ClockId::Boottime);
                let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
                Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
            }
            #[cfg(any(test, feature = "testing"))]
            Self::Fake(fake) => fake.since_boot(),
        }
    }
}

/// Through the C library and not past it, so that a test can give a daemon another wall clock than the machine has.
#[expect(clippy::disallowed_methods, reason = "the reader of clocks")]
fn kernel_wall_ms() -> i64 {
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => ms(since),
        Err(before) => -ms(before.duration()),
    }
}

fn boot_id() -> String {
    let mut id = boot_id_of_the_kernel();
    // Another time namespace is another count of the time since the boot, of which the kernel's id says nothing.
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    if !id.is_empty() {
        id.push_str(&time_namespace(&offsets));
    }
    id
}

/// Identifies a time namespace other than the machine's own: the offset of its clock, or nothing.
fn time_namespace(offsets: &str) -> String {
    let mut lines = offsets.lines().map(str::split_whitespace);
    let offset = lines.find_map(|mut words| {
        // Older kernels write the number of the clock.
        matches!(words.next(), Some("boottime" | "7")).then(|| words.collect::<Vec<_>>().join("."))
    });
    match offset {
        Some(offset) if offset.bytes().any(|byte| matches!(byte, b'1'..=b'9')) => {
            format!("+{offset}")
        }
        _ => String::new(),
    }
}

fn boot_id_of_the_kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn difference(a: Timestamp, b: Timestamp) -> i64 {
    let (a, b) = (a.as_millis(), b.as_millis());
    if a >= b {
        i64::try_from(a - b).unwrap_or(i64::MAX)
    } else {
        i64::try_from(b - a).map_or(i64::MIN, |ms| -ms)
    }
}

/// A duration in whole milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::testing::FakeClock;
    use super::*;

    const WALL: i64 = 1_790_000_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(u64::try_from(ms).expect("a test's time"))
    }

    #[test]
    fn the_steady_clock_starts_at_the_wall_clock_and_ignores_its_steps() {
        let (clock, hands) = FakeClock::start(WALL, 5_000, "a");
        assert_eq!(clock.steady(), at(WALL));
        hands.step_wall(-3_600_000);
        assert_eq!(clock.steady(), at(WALL));
        hands.advance(Duration::from_secs(2));
        assert_eq!(clock.steady(), at(WALL + 2_000));
        assert_eq!(clock.wall_ms(), WALL - 3_600_000 + 2_000);
    }

    #[test]
    fn a_machine_without_a_clock_battery_starts_in_2001() {
        for wall in [0, -5, 999_999_999_999] {
            let (clock, _hands) = FakeClock::start(wall, 0, "a");
            assert_eq!(clock.steady(), Timestamp::from_millis(EARLIEST_ORIGIN_MS));
            assert_eq!(clock.to_wall(clock.steady()), wall);
        }
    }

    #[test]
    fn within_one_boot_a_stored_time_is_exact_whatever_the_wall_clock_did() {
        let (clock, hands) = FakeClock::start(WALL, 5_000, "a");
        let anchor = clock.anchor();
        hands.advance(Duration::from_secs(60));
        hands.step_wall(-86_400_000);
        let restored = clock.restore(&anchor, WALL + 90_000);
        assert_eq!(restored.at, at(WALL + 90_000));
        assert_eq!(restored.elapsed, Some(Duration::from_secs(60)));
    }

    #[test]
    fn across_a_reboot_the_wall_clock_counts() {
        let (before, _hands) = FakeClock::start(WALL, 5_000_000, "a");
        let (after, _hands) = FakeClock::start(WALL + 30_000, 10, "b");
        let restored = after.restore(&before.anchor(), WALL + 90_000);
        assert_eq!(restored.at, at(WALL + 90_000));
        assert_eq!(restored.elapsed, Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_wall_clock_behind_the_anchor_means_the_elapsed_time_is_unknown() {
        let (before, _hands) = FakeClock::start(WALL, 5_000_000, "a");
        let (after, _hands) = FakeClock::start(WALL - 1, 10, "b");
        let restored = after.restore(&before.anchor(), WALL + 90_000);
        assert_eq!(restored.elapsed, None);
        assert_eq!(restored.at, after.steady().after(Duration::from_secs(90)));
    }

    #[test]
    fn another_time_namespace_is_another_boot() {
        let of = |text| time_namespace(text);
        for own in [
            "",
            "monotonic           0         0\nboottime            0         0\n",
            "nonsense",
        ] {
            assert_eq!(of(own), "");
        }
        let one = of("monotonic           0         0\nboottime       86400         0\n");
        assert_eq!(one, "+86400.0");
        assert_ne!(one, of("monotonic 0 0\nboottime -86400 0\n"));
        assert_ne!(one, of("1 0 0\n7 86400 500000000\n"));
    }

    #[test]
    fn an_unreadable_boot_id_never_counts_as_the_same_boot() {
        let (before, _hands) = FakeClock::start(WALL, 5_000, "");
        let (after, _hands) = FakeClock::start(WALL + 7_000, 6_000, "");
        let restored = after.restore(&before.anchor(), WALL);
        assert_eq!(restored.elapsed, Some(Duration::from_secs(7)));
    }

    #[test]
    fn the_kernels_clocks_are_readable_and_steady() {
        let clock = Clock::system();
        let first = clock.steady();
        assert!(clock.steady() >= first);
        assert!(clock.wall_ms() > 1_700_000_000_000);
        assert!(clock.boot_ms() > 0);
        assert_eq!(clock.boot_id().len(), 36);
    }

    proptest! {
        #[test]
        fn a_steady_time_is_as_far_ahead_on_the_wall_clock_whatever_its_steps(
            wall in 0..4_000_000_000_000i64,
            boot in 0..1_000_000_000_000u64,
            step in -1_000_000_000_000..1_000_000_000_000i64,
            ahead in 0..1_000_000_000u64,
        ) {
            let (clock, hands) = FakeClock::start(wall, boot, "a");
            hands.step_wall(step);
            let there = clock.steady().after(Duration::from_millis(ahead));
            let wall_ahead = clock.to_wall(there) - clock.wall_ms();
            prop_assert_eq!(u64::try_from(wall_ahead), Ok(ahead));
        }

        #[test]
        fn a_record_is_written_by_one_reading_whatever_the_wall_clock_does_meanwhile(
            ahead in -1_000_000i64..1_000_000,
            step in -1_000_000_000i64..1_000_000_000,
        ) {
            let (clock, fake) = FakeClock::start(1_790_000_000_000, 10_000_000, "boot-1");
            let anchor = clock.anchor();
            fake.step_wall(step);
            let at = Timestamp::from_millis(clock.steady().as_millis().saturating_add_signed(ahead));
            let stored = clock.to_wall_at(&anchor, at);
            prop_assert_eq!(stored, anchor.wall_ms + ahead);
            prop_assert_eq!(clock.restore(&anchor, stored).at, at);
        }

        #[test]
        fn a_time_written_and_restored_in_one_boot_is_the_same_time(
            wall in 0..4_000_000_000_000i64,
            boot in 0..1_000_000_000_000u64,
            passes in 0..1_000_000_000_000u64,
            step in -2_000_000_000_000..2_000_000_000_000i64,
            ahead in 0..1_000_000_000u64,
        ) {
            let (clock, hands) = FakeClock::start(wall, boot, "a");
            let there = clock.steady().after(Duration::from_millis(ahead));
            let (anchor, stored) = (clock.anchor(), clock.to_wall(there));
            hands.advance(Duration::from_millis(passes));
            hands.step_wall(step);
            let restored = clock.restore(&anchor, stored);
            prop_assert_eq!(restored.at, there);
            prop_assert_eq!(restored.elapsed, Some(Duration::from_millis(passes)));
        }

        #[test]
        fn a_restored_time_is_never_further_ahead_than_it_was_when_stored(
            stored_wall in any::<i64>(),
            stored_boot in any::<u64>(),
            time in any::<i64>(),
            wall in any::<i64>(),
            boot in any::<u64>(),
            same_boot in any::<bool>(),
        ) {
            let (clock, _hands) = FakeClock::start(wall, boot, "a");
            let boot_id = if same_boot { "a" } else { "b" }.to_owned();
            let anchor = Anchor { wall_ms: stored_wall, boot_ms: stored_boot, boot_id };
            let restored = clock.restore(&anchor, time);
            let was_ahead = u64::try_from(time.saturating_sub(stored_wall)).unwrap_or(0);
            prop_assert!(restored.at.since(clock.steady()) <= Duration::from_millis(was_ahead));
        }
    }
}

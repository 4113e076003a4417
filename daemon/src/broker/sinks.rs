//! Sinks: what the keepers of files with tokens report of them.
//!
//! Owns who reports what. A report stands for as long as its request waits, so that it ends with the connection of its sink. A new
//! configuration ends all of them: who may still report is decided again. Must never show a sink to anybody: the callers choose the accounts.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokend_process::escaping::Escaped;
use tokend_proto::{AccountName, Fault, FaultCode, Request, Response, SinkLine, SinksPage};
use tokio::sync::oneshot;

/// How many sinks of one account can report: a page has room for all of them.
const OF_ACCOUNT: usize = 64;
/// How many of them can be of one user, so that no user takes the room of the others.
const OF_USER: usize = 32;
/// How much is kept of a text, in bytes: paths of more are rare, and sentences have their point at the beginning.
const LONGEST: usize = 256;
/// The same of a name, which is one as of an account.
const LONGEST_NAME: usize = 64;
/// How much of a page is filled. A frame has 64 KiB, and the sinks of one account take at most 44.
const PAGE: usize = 16 * 1024;

/// The reports that stand.
#[derive(Debug, Default)]
pub(crate) struct Sinks(Mutex<Reports>);

#[derive(Debug, Default)]
struct Reports {
    /// Only accounts of which there is one.
    of: BTreeMap<AccountName, Vec<Report>>,
    last: u64,
}

#[derive(Debug)]
struct Report {
    number: u64,
    instance: u64,
    line: SinkLine,
    /// Dropped when the report is over.
    _stands: oneshot::Sender<()>,
}

/// Takes a report away when its request is dropped.
struct Standing {
    sinks: Arc<Sinks>,
    account: AccountName,
    number: u64,
}

impl Sinks {
    /// A report of a sink, which stands until the future ends or is dropped; it takes the place of the one before.
    pub(crate) fn report(
        self: &Arc<Self>,
        uid: u32,
        report: Request,
    ) -> Result<impl Future<Output = Response> + Send + 'static, Fault> {
        let Request::Report {
            account,
            sink,
            instance,
            path,
            problem,
        } = report
        else {
            let message = "this is no report of a sink";
            return Err(Fault::new(FaultCode::BadRequest, message));
        };
        let line = SinkLine {
            account: account.clone(),
            sink: cut(&sink, LONGEST_NAME),
            uid,
            path: cut(&path, LONGEST),
            problem: problem.as_deref().map(|it| cut(it, LONGEST)),
        };
        let mut reports = self.reports();
        reports.last += 1;
        let number = reports.last;
        let all = reports.of.entry(account.clone()).or_default();
        let is_same = |it: &Report| {
            (it.instance, it.line.uid) == (instance, line.uid) && it.line.sink == line.sink
        };
        let before = all.iter().position(is_same).map(|at| all.swap_remove(at));
        let of_user = all.iter().filter(|it| it.line.uid == line.uid).count();
        if all.len() >= OF_ACCOUNT || of_user >= OF_USER {
            let message = format!("too many sinks of account {account} report");
            return Err(Fault::new(FaultCode::TooBusy, message));
        }
        log(before.as_ref().map(|it| &it.line), &line);
        let (stands, over) = oneshot::channel();
        all.push(Report {
            number,
            instance,
            line,
            _stands: stands,
        });
        drop(reports);
        let standing = Standing {
            sinks: Arc::clone(self),
            account,
            number,
        };
        Ok(async move {
            let _standing = standing;
            // It ends when the other half is dropped.
            let _over = over.await;
            Response::Done {
                message: "the report is over".to_owned(),
            }
        })
    }

    /// Ends all reports: another configuration is in force.
    pub(super) fn end_all(&self) {
        self.reports().of.clear();
    }

    /// The sinks of an account.
    pub(crate) fn of(&self, account: &AccountName) -> Vec<SinkLine> {
        let reports = self.reports();
        let all = reports.of.get(account).into_iter().flatten();
        let mut lines: Vec<_> = all.map(|it| it.line.clone()).collect();
        lines.sort_unstable_by(|one, two| (&one.sink, one.uid).cmp(&(&two.sink, two.uid)));
        lines
    }

    /// The sinks of these accounts, which others follow after `next`.
    pub(crate) fn page<'a>(
        &self,
        accounts: impl Iterator<Item = &'a AccountName>,
        mut next: Option<AccountName>,
    ) -> Response {
        let (mut sinks, mut size) = (Vec::new(), 0);
        for account in accounts {
            let lines = self.of(account);
            size += lines.iter().map(size_of).sum::<usize>();
            sinks.extend(lines);
            if size > PAGE {
                next = Some(account.clone());
                break;
            }
        }
        Response::Sinks(SinksPage { sinks, next })
    }

    /// How many files are as they should be, and how many are not.
    pub(crate) fn counts(&self) -> [usize; 2] {
        let reports = self.reports();
        let all = || reports.of.values().flatten();
        let failing = all().filter(|it| it.line.problem.is_some()).count();
        [all().count() - failing, failing]
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut reports = self.sinks.reports();
        if let Some(all) = reports.of.get_mut(&self.account) {
            all.retain(|it| it.number != self.number);
            if all.is_empty() {
                reports.of.remove(&self.account);
            }
        }
    }
}

/// One line for each problem, and one when it is over.
fn log(before: Option<&SinkLine>, line: &SinkLine) {
    let SinkLine {
        account,
        sink,
        uid,
        path,
        problem,
    } = line;
    // One user may cause so many lines of a kind, and no more.
    let peer = format!("uid {uid}");
    let had = before.and_then(|it| it.problem.as_ref());
    match problem {
        Some(problem) if had != Some(problem) => {
            tracing::warn!(%peer, %account, sink, path, "a sink cannot keep its file fresh: {problem}");
        }
        None if had.is_some() => {
            tracing::info!(%peer, %account, sink, path, "a sink keeps its file fresh again");
        }
        _ => {}
    }
}

/// More than all numbers and lengths together need.
fn size_of(line: &SinkLine) -> usize {
    let texts = line.path.len() + line.problem.as_ref().map_or(0, String::len);
    64 + line.account.as_str().len() + line.sink.len() + texts
}

/// A text of a peer as one line, and not too much of it.
fn cut(text: &str, longest: usize) -> String {
    let end = text.floor_char_boundary(longest);
    let mut line = Escaped(text.get(..end).unwrap_or_default()).to_string();
    line.truncate(line.floor_char_boundary(longest));
    line
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn report(instance: u64, text: &str, problem: Option<&str>) -> Request {
        Request::Report {
            account: "ads".parse().unwrap(),
            sink: format!("feed{text}"),
            instance,
            path: format!("/run/x/token{text}"),
            problem: problem.map(str::to_owned),
        }
    }

    fn is_over(report: &mut (impl Future<Output = Response> + Unpin)) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(pin!(report).poll(&mut context), Poll::Ready(_))
    }

    #[test]
    fn a_report_stands_until_its_successor_a_configuration_or_the_end_of_its_connection() {
        let sinks = Arc::<Sinks>::default();
        let report =
            |instance, problem| Box::pin(sinks.report(7, report(instance, "", problem)).unwrap());
        let mut first = report(1, None);
        let mut other = report(2, None);
        assert!(!is_over(&mut first));
        assert_eq!(sinks.counts(), [2, 0]);
        let mut second = report(1, Some("full"));
        assert!(is_over(&mut first) && !is_over(&mut other));
        assert_eq!(sinks.counts(), [1, 1]);
        drop(first);
        assert_eq!(sinks.counts(), [1, 1], "the successor stays");
        drop(second);
        assert_eq!(sinks.counts(), [1, 0]);
        second = report(1, None);
        sinks.end_all();
        assert!(is_over(&mut second) && is_over(&mut other));
        assert_eq!(sinks.counts(), [0, 0]);
    }

    #[test]
    fn one_user_leaves_room_for_others_and_all_of_an_account_fit_a_frame() {
        let sinks = Arc::<Sinks>::default();
        let long = "\u{1}x\n".repeat(100_000);
        let mut standing = Vec::new();
        for uid in [1, 2, 3] {
            for sink in 0..=OF_USER {
                let report = report(sink as u64, &long, Some(&long));
                standing.extend(sinks.report(uid, report).ok());
            }
        }
        assert_eq!(standing.len(), OF_ACCOUNT);
        let lines = sinks.of(&"ads".parse().unwrap());
        assert_eq!(lines.iter().filter(|it| it.uid == 1).count(), OF_USER);
        let size: usize = lines.iter().map(size_of).sum();
        assert!(PAGE + size < tokend_proto::MAX_FRAME - 1024, "{size}");
        assert!(lines.iter().all(|it| !it.path.contains(char::is_control)));
    }
}

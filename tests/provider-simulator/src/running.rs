//! A running simulator: its ports, and what a test may ask and change.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    time::Duration,
};

use tokio::{runtime::Runtime, task::JoinHandle};

use super::{
    account, admin,
    fault::Rule,
    ledger::Ledger,
    log::{Excerpt, Violation},
    serve,
    shared::Shared,
    spec::{AccountSpec, Api, Behaviour, Deployment},
};
use crate::clock::Stopwatch;

/// Where the simulator listens. Port 0 lets the system choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// All providers by path prefix (`/p/000`).
    pub shared: u16,
    /// First of the five ports with one provider each, in the order of [`Api::ALL`].
    pub first: u16,
}

/// A running simulator; dropping it stops it.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    addresses: BTreeMap<Option<Api>, SocketAddr>,
    listeners: Mutex<BTreeMap<Option<Api>, Listening>>,
    admin: Option<SocketAddr>,
    runtime: Option<Runtime>,
}

/// An accept loop, and the channel that ends once its listener is closed.
type Listening = (JoinHandle<()>, Receiver<Infallible>);

impl Simulator {
    /// Starts on free ports.
    ///
    /// # Errors
    /// When loopback ports or threads are not available.
    pub fn start(accounts: Vec<AccountSpec>) -> io::Result<Self> {
        Self::start_on(accounts, Ports::default())
    }

    /// Starts on chosen ports.
    ///
    /// # Errors
    /// When a port is taken, or threads are not available.
    pub fn start_on(accounts: Vec<AccountSpec>, ports: Ports) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("simulator")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared {
            watch: Stopwatch::start(),
            deployments: Mutex::default(),
            ledger: Mutex::new(Ledger::new(accounts)),
        });
        let mut simulator = Self {
            shared,
            addresses: BTreeMap::new(),
            listeners: Mutex::default(),
            admin: None,
            runtime: Some(runtime),
        };
        simulator.bind(None, ports.shared)?;
        for (offset, api) in (0u16..).zip(Api::ALL) {
            let port = if ports.first == 0 {
                0
            } else {
                ports.first.saturating_add(offset)
            };
            simulator.bind(Some(api), port)?;
        }
        Ok(simulator)
    }

    fn bind(&mut self, api: Option<Api>, port: u16) -> io::Result<()> {
        let address = self.listen(api, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        self.addresses.insert(api, address);
        Ok(())
    }

    fn listen(&self, api: Option<Api>, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let (closed, receiver) = sync_channel(1);
        let task = serve::listen(Arc::clone(&self.shared), api, listener, closed);
        if let Some(runtime) = &self.runtime {
            self.listeners()
                .insert(api, (runtime.spawn(task), receiver));
        }
        Ok(address)
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<Option<Api>, Listening>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Base URL of the port that serves this API alone.
    #[must_use]
    pub fn base_url(&self, api: Api) -> String {
        self.addresses
            .get(&Some(api))
            .map(|address| format!("http://{address}"))
            .unwrap_or_default()
    }

    /// Base URL of this API on the port that serves all of them.
    #[must_use]
    pub fn prefixed_url(&self, api: Api) -> String {
        let address = self.addresses.get(&None);
        address
            .map(|address| format!("http://{address}/p/{}", api.number()))
            .unwrap_or_default()
    }

    /// Sets up one more account.
    pub fn add(&self, account: AccountSpec) {
        self.shared
            .ledger()
            .accounts
            .push(account::Account::new(account));
    }

    /// The specification of every account, in order.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountSpec> {
        self.shared
            .ledger()
            .accounts
            .iter()
            .map(|account| account.spec.clone())
            .collect()
    }

    /// Changes how the provider treats an account from now on.
    ///
    /// # Panics
    /// When there is no such account, which is a mistake in the test.
    pub fn change(&self, account: &str, change: impl FnOnce(&mut Behaviour)) {
        self.with(account, |account| change(&mut account.spec.behaviour));
    }

    /// Changes the password, or the client secret where there is no password.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn change_secret(&self, account: &str, secret: &str) {
        self.with(account, |account| account.change_secret(secret.to_owned()));
    }

    /// Changes what differs between deployments of an API.
    pub fn deploy(&self, api: Api, change: impl FnOnce(&mut Deployment)) {
        let mut deployment = self.shared.deployment(api);
        change(&mut deployment);
        let mut all = self
            .shared
            .deployments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(api, deployment);
    }

    /// Ends the access tokens of an account; its refresh tokens stay good.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn end_access(&self, account: &str) {
        self.with(account, account::Account::end_access);
    }

    /// Ends the refresh tokens of an account; its access tokens stay good.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn end_refresh(&self, account: &str) {
        self.with(account, account::Account::end_refresh);
    }

    /// Adds a line to the fault script.
    pub fn fail(&self, rule: Rule) {
        self.shared.ledger().script.add(rule);
    }

    /// Empties the fault script.
    pub fn heal(&self) {
        self.shared.ledger().script.clear(None);
    }

    /// Closes the port of this API and its connections, so that the provider is down.
    pub fn down(&self, api: Api) {
        let Some((task, closed)) = self.listeners().remove(&Some(api)) else {
            return;
        };
        task.abort();
        // Ends as soon as the listener is closed; the limit only keeps a broken runtime from hanging a test.
        let _ = closed.recv_timeout(Duration::from_secs(10));
    }

    /// Opens the port again that [`Simulator::down`] closed.
    ///
    /// # Errors
    /// When another process took the port meanwhile.
    pub fn up(&self, api: Api) -> io::Result<()> {
        let Some(address) = self.addresses.get(&Some(api)) else {
            return Ok(());
        };
        if !self.listeners().contains_key(&Some(api)) {
            self.listen(Some(api), *address)?;
        }
        Ok(())
    }

    /// Requests that concerned one account.
    #[must_use]
    pub fn log(&self, account: &str) -> Excerpt {
        self.shared.ledger().log.excerpt(Some(account))
    }

    /// All requests, also those that could not be attributed.
    #[must_use]
    pub fn full_log(&self) -> Excerpt {
        self.shared.ledger().log.excerpt(None)
    }

    /// Events that a well-behaved broker never causes.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.ledger().log.violations()
    }

    /// The access token issued last to an account.
    ///
    /// # Panics
    /// When there is no such account.
    #[must_use]
    pub fn newest_access(&self, account: &str) -> Option<String> {
        self.with(account, |it| {
            it.newest_access().map(|(text, _)| text.to_owned())
        })
    }

    /// Every credential and every token issued, for tests that look for them where they must not appear.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.shared
            .ledger()
            .accounts
            .iter()
            .flat_map(account::Account::secrets)
            .collect()
    }

    /// Forgets all tokens, faults and the log; the accounts stay.
    pub fn reset(&self) {
        self.shared.ledger().reset();
    }

    /// Opens the control API (see [`ADMIN_HELP`](super::ADMIN_HELP)) on a loopback port and returns its address.
    ///
    /// # Errors
    /// When the port is taken.
    pub fn open_admin(&mut self, port: u16) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        if let Some(runtime) = &self.runtime {
            drop(runtime.spawn(admin::serve(Arc::clone(&self.shared), listener)));
        }
        self.admin = Some(address);
        Ok(address)
    }

    #[expect(
        clippy::panic,
        reason = "a test that names an account nobody set up is wrong"
    )]
    fn with<T>(&self, account: &str, act: impl FnOnce(&mut account::Account) -> T) -> T {
        let mut ledger = self.shared.ledger();
        match ledger.named(account) {
            Some(account) => act(account),
            None => panic!("the simulator has no account `{account}`"),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

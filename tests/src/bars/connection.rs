//! `get` over a kept connection against a bare echo with the same byte counts.

use std::{
    env,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::Command,
};

use tokend_client::{AccountName, BlockingClient, GetOptions, SocketPath};
use tokend_proto::{ClientFrame, Request, RequestId, Response, ServerFrame, encode};

use super::{Figure, Stand, Times};
use crate::clock::{PATIENCE, Stopwatch, wait_for};

const ROUNDS: usize = 40;
const IN_A_ROUND: usize = 500;

/// Measures it.
///
/// # Errors
/// When something cannot be started or does not answer.
pub fn measure() -> anyhow::Result<Vec<Figure>> {
    let stand = Stand::start("", "")?;
    let account: AccountName = "ads".parse()?;
    let options = GetOptions::new(account.clone());
    let mut client = BlockingClient::connect(&SocketPath::from(stand.site.socket()))?;
    let token = client.get(&options)?;

    let request = Request::Get {
        account,
        min_validity_ms: None,
        wait_ms: 0,
        timeout_ms: 30_000,
    };
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    encode(
        &ClientFrame {
            id: RequestId(1),
            request,
        },
        &mut asked,
    )?;
    encode(
        &ServerFrame {
            id: RequestId(1),
            response: Response::Token(token),
        },
        &mut answered,
    )?;

    let socket = stand.site.path().join("echo");
    let mut server = Command::new(env::current_exe()?)
        .arg("--echo")
        .arg(&socket)
        .args([asked.len().to_string(), answered.len().to_string()])
        .spawn()?;
    let mut echo = wait_for("the echo to listen", PATIENCE, || {
        UnixStream::connect(&socket).ok()
    })?;

    let (mut get, mut bare) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
        for _ in 0..IN_A_ROUND {
            let watch = Stopwatch::start();
            client.get(&options)?;
            get.add(watch.elapsed());
        }
        for _ in 0..IN_A_ROUND {
            let watch = Stopwatch::start();
            echo.write_all(&asked)?;
            echo.read_exact(&mut answered)?;
            bare.add(watch.elapsed());
        }
    }
    drop(echo);
    server.wait()?;
    stand.daemon.terminate()?;
    let (count, fast, least) = (get.len(), get.quantile(0.5), bare.quantile(0.5));
    Ok(vec![Figure {
        what: "get on a kept connection, p50",
        found: fast / least,
        most: 1.5,
        unit: " x bare echo",
        from: format!(
            "{count} each, {fast:.1} us against {least:.1} us for {} + {} bytes",
            asked.len(),
            answered.len()
        ),
    }])
}

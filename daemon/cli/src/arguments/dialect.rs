//! The command line of `tokend dialect`.
//!
//! Owns its grammar and help, and how headers and options are written on it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

/// What `tokend dialect` can do.
#[derive(Debug, Subcommand)]
pub enum DialectCommand {
    /// List all dialects
    List {
        /// Directory of your own dialects, as `dialect_dir` of the configuration names it
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dialect_dir: Option<PathBuf>,
    },
    /// Show how a dialect describes its provider
    Show {
        /// Name of a dialect, or a file
        dialect: String,
        /// Show it with everything it inherits, instead of the text as it was written
        #[arg(long)]
        effective: bool,
        /// Directory of your own dialects, as `dialect_dir` of the configuration names it
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dialect_dir: Option<PathBuf>,
    },
    /// Print as JSON what an account of a dialect has to say: options, fields and secrets
    Needs {
        /// Name of a dialect, or a file
        dialect: String,
        /// Option the account sets, on which the fields may depend; may be given several times
        #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
        options: Vec<(String, String)>,
        /// Directory of your own dialects, as `dialect_dir` of the configuration names it
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dialect_dir: Option<PathBuf>,
    },
    /// Check a dialect's file for mistakes
    Check {
        /// The file; its name without .toml is the dialect's name
        file: PathBuf,
        /// Directory of dialects it may extend
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dialect_dir: Option<PathBuf>,
    },
    /// Show the request a dialect would send and what it reads from a recorded reply
    #[command(after_help = TRY_HELP)]
    Try(TryArgs),
}

/// Options of `tokend dialect try`.
#[derive(Debug, Clone, Args)]
pub struct TryArgs {
    /// Name of a dialect, or a file
    pub dialect: String,
    /// Which of the two requests
    #[arg(long, value_name = "KIND", default_value = "login")]
    pub kind: KindArg,
    /// HTTP status of the reply; without it only the request is shown
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub status: Option<u16>,
    /// Header of the reply; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header, requires = "status")]
    pub headers: Vec<(String, String)>,
    /// File with the body of the reply; - for standard input
    #[arg(long, value_name = "FILE", requires = "status")]
    pub body: Option<PathBuf>,
    /// Base URL of the account
    #[arg(long, value_name = "URL", default_value = "https://provider.example")]
    pub base_url: String,
    /// Named alternative the account would choose
    #[arg(long, value_name = "NAME")]
    pub endpoint: Option<String>,
    /// Option the account would set; may be given several times
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    pub options: Vec<(String, String)>,
    /// Directory of your own dialects, as `dialect_dir` of the configuration names it
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dialect_dir: Option<PathBuf>,
}

/// One of the two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// a grant from the long-lived credential
    Login,
    /// a grant from a refresh token
    Refresh,
}

const TRY_HELP: &str = "\
Nobody is contacted. Every value in the request is shown as <its name>, and every token in the reply as its length.

Examples:
  tokend dialect try my-api.toml --status 200 --body reply.json
  tokend dialect try jwt-api --kind refresh --status 401 --body - < reply.json
  tokend dialect try my-api.toml --status 429 --header 'Retry-After: 30'
  tokend dialect try oauth2 --option grant=client_credentials";

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("a header is written as NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("an option is written as NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

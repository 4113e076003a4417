//! Which rules decided.

use crate::registry::Ruling;

/// Which rules decided about a request: of the configuration in force when it was decided.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// The one that allowed what was asked for.
    pub(crate) act: Option<Ruling>,
    /// The one that allows its token to be handed out.
    pub(crate) token: Option<Ruling>,
}

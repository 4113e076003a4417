//! Metrics, in parts that fit a frame.
//!
//! Owns only the request: `crate::metrics` keeps the snapshot that a peer continues to read. Must never decide about permission.

use tokend_proto::MetricsCursor;

use super::done::Done;
use super::parts::Requests;

impl Requests {
    pub(super) fn read_metrics(&self, after: Option<MetricsCursor>) -> Done {
        let metrics = self.metrics.clone();
        Done::Later(Box::pin(async move { metrics.page(after).await }))
    }
}

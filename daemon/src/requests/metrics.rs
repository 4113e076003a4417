//! Metrics, in parts that fit a frame.
//!
//! Owns nothing but the request: `crate::metrics` keeps the snapshot that a peer reads on in. Must never decide who may read.

use tokend_proto::MetricsCursor;

use super::done::Done;
use super::parts::Requests;

impl Requests {
    pub(super) fn read_metrics(&self, after: Option<MetricsCursor>) -> Done {
        let metrics = self.metrics.clone();
        Done::Later(Box::pin(async move { metrics.page(after).await }))
    }
}

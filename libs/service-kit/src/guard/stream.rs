//! A stream ends when the token it was opened with does.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::Pass;

/// Sends `response` for as long as its caller's token holds. What a revoked one would still be
/// told is the next message, and that is when it is looked at.
pub(crate) fn while_valid(pass: Pass, response: Response<Body>) -> Response<Body> {
    response.map(|inner| Body::new(Valid { inner, pass, over: false }))
}

struct Valid {
    inner: Body,
    pass: Pass,
    over: bool,
}

impl http_body::Body for Valid {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        let tells = matches!(&frame, Some(Ok(frame)) if frame.is_data());
        if !tells || self.pass.is_good() {
            return Poll::Ready(frame);
        }
        self.over = true;
        let status = Status::unauthenticated("the token of this stream does not hold any more");
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

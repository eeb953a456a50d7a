//! Bodies that are kept as files: never held in memory, as long as they want to be, and ended when they stall. What is read off a
//! connection that was refused is here too, so that the client hears why.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::once;
use futures_util::{Stream, StreamExt};
use hyper::body::{Frame, SizeHint};
use sprongus_core::Error;
use sprongus_core::ErrorCode;
use sprongus_core::rules::artifact::too_large;
use sprongus_core::run::artifact::{ByteStream, MAX_UPLOAD};
use sprongus_core::workspace::token;
use tokio::time::{Sleep, sleep};

use crate::pause::Pause;
use crate::server::Shared;
use crate::server::access::auth::Principal;
use crate::server::response::{ApiError, bad_field, too_slow};

/// What a file is when its body does not say it.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// How long what is still coming of a refused body is read and thrown away. A client that is cut off while it sends may lose the
/// answer, and would take a refusal for a broken connection.
const LINGER: Duration = Duration::from_secs(2);

/// A file on its way in.
pub struct Upload {
    /// What it is, as a media type that nobody has checked.
    pub content_type: String,
    /// Its bytes. They end with an error when the client breaks off or stalls.
    pub body: ByteStream,
    failure: Arc<OnceLock<UploadFailure>>,
}

/// What the client did wrong while its bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UploadFailure {
    Stalled,
    BrokeOff,
    /// The token ended while they came.
    Revoked,
}

/// Why nothing was kept.
#[derive(Debug)]
pub enum NotKept {
    /// The client was too slow.
    TooSlow,
    /// The store, the blobs or the rules refused it.
    Refused(Error),
}

impl From<Error> for NotKept {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl IntoResponse for NotKept {
    fn into_response(self) -> Response {
        match self {
            Self::TooSlow => too_slow(),
            Self::Refused(error) => ApiError(error).into_response(),
        }
    }
}

/// What became of the client while its bytes were kept.
pub struct Witness(Arc<OnceLock<UploadFailure>>);

impl Witness {
    /// What to answer. Whatever the place of the bytes makes of a body that ends with an error, it was the client's.
    ///
    /// # Errors
    pub fn judge<T>(&self, kept: Result<T, Error>) -> Result<T, NotKept> {
        match (kept, self.0.get()) {
            (Ok(kept), _) => Ok(kept),
            (Err(_), Some(UploadFailure::Stalled)) => Err(NotKept::TooSlow),
            (Err(_), Some(UploadFailure::BrokeOff)) => {
                let error = Error::new(ErrorCode::Malformed, "the body was cut off");
                Err(error.with_hint("send the whole body again").into())
            }
            (Err(_), Some(UploadFailure::Revoked)) => Err(token::refused().into()),
            (Err(error), None) => Err(error.into()),
        }
    }
}

impl Upload {
    /// A file whose body may pause for `patience`, and take [`MAX_UPLOAD`] in all.
    fn new(content_type: String, body: Body, patience: Duration) -> Self {
        let failure = Arc::new(OnceLock::new());
        let body = Patient {
            body: body.into_data_stream(),
            pause: Pause::new(patience),
            end: Box::pin(sleep(MAX_UPLOAD)),
            failure: Arc::clone(&failure),
        };
        Self { content_type, body: Box::pin(body), failure }
    }

    /// The one who knows, when the bytes are read, why they ended.
    pub fn witness(&self) -> Witness {
        Witness(Arc::clone(&self.failure))
    }

    /// Has the sender's token read again when the last byte has come, before the file is kept: a large upload outlives many a token.
    #[must_use]
    pub fn rechecked_at_end(self, principal: Principal) -> Self {
        let failure = Arc::clone(&self.failure);
        let recheck = once(async move {
            let refused = principal.recheck_token().await.is_err();
            refused.then(|| {
                // The first failure is the cause of all others.
                let _ = failure.set(UploadFailure::Revoked);
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "the token has expired or was revoked"))
            })
        });
        Self { body: Box::pin(self.body.chain(recheck.filter_map(std::future::ready))), ..self }
    }
}

impl FromRequest<Arc<Shared>> for Upload {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let content_type = admit(request.headers())?;
        // What is said to be too large is not read.
        let most = shared.service.max_artifact_bytes();
        if let (Some(size), Some(most)) = (request.body().size_hint().exact(), most)
            && size > most
        {
            return Err(ApiError(too_large(most)));
        }
        Ok(Self::new(content_type, request.into_body(), shared.options.patience))
    }
}

/// Refuses what would be kept as something else than it is; answers the media type.
fn admit(headers: &HeaderMap) -> Result<String, Error> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let error = Error::new(ErrorCode::UnsupportedMediaType, "encoded bodies are not supported");
        return Err(error.with_hint("send the file as it is, without `Content-Encoding`"));
    }
    if headers.contains_key(header::CONTENT_RANGE) {
        let error = Error::new(ErrorCode::Malformed, "partial bodies are not supported");
        return Err(error.with_hint("send the whole file, without `Content-Range`"));
    }
    match headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str()) {
        None => Ok(UNKNOWN_TYPE.to_owned()),
        Some(Ok(kind)) => Ok(kind.to_owned()),
        Some(Err(_)) => Err(bad_field("/Content-Type", "the media type is not printable ASCII")),
    }
}

/// Bytes that may pause only so long. The time in which nobody asks for them does not count.
struct Patient {
    body: BodyDataStream,
    pause: Pause,
    /// They must have come by then, however steadily they do.
    end: Pin<Box<Sleep>>,
    failure: Arc<OnceLock<UploadFailure>>,
}

impl Patient {
    fn fail(
        &self,
        failure: UploadFailure,
        kind: io::ErrorKind,
        error: &'static str,
    ) -> Option<io::Result<Bytes>> {
        // The first failure is the cause of all others.
        let _ = self.failure.set(failure);
        Some(Err(io::Error::new(kind, error)))
    }
}

impl Stream for Patient {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(next) = self.body.poll_next_unpin(context) {
            self.pause.end();
            return Poll::Ready(match next {
                Some(Ok(bytes)) => Some(Ok(bytes)),
                Some(Err(_)) => self.fail(
                    UploadFailure::BrokeOff,
                    io::ErrorKind::ConnectionAborted,
                    "the client disconnected",
                ),
                None => None,
            });
        }
        if self.pause.poll_over(context).is_pending() {
            ready!(self.end.as_mut().poll(context));
        }
        Poll::Ready(self.fail(UploadFailure::Stalled, io::ErrorKind::TimedOut, "the client stopped sending"))
    }
}

/// Has what is left of a request's body be read for a while when nobody wants it any more.
pub async fn linger(request: Request) -> Request {
    let is_asked_for = !request.headers().contains_key(header::EXPECT);
    request.map(|body| Body::new(Lingering { body: Some(body), is_asked_for }))
}

/// A body whose rest is read when it is dropped.
struct Lingering {
    body: Option<Body>,
    /// Whether the client sends without being asked to, by `100 Continue`, or was asked.
    is_asked_for: bool,
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_asked_for = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let next = ready!(Pin::new(body).poll_frame(context));
        if !matches!(next, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| self.is_asked_for && !body.is_end_stream()) else {
            return;
        };
        let reading = async move {
            let mut rest = body.into_data_stream();
            while let Some(Ok(_)) = rest.next().await {}
        };
        // Outside of a runtime there is no connection either.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER, reading));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{iter, pending};
    use tokio::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(600);

    fn upload(body: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Upload {
        Upload::new("a/b".to_owned(), Body::from_stream(body), PATIENCE)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_waited_for() {
        let digits = iter(b'0'..=b'9').then(|digit| async move {
            sleep(PATIENCE * 2 / 3).await;
            Ok(Bytes::from(vec![digit]))
        });
        let (upload, began) = (upload(digits), Instant::now());
        let witness = upload.witness();
        let bytes: Vec<Bytes> = upload.body.map(Result::unwrap).collect().await;
        assert_eq!(bytes.concat(), b"0123456789");
        assert!(began.elapsed() > 3 * PATIENCE && witness.judge(Ok(())).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_is_given_up_after_the_timeout_and_not_before() {
        let half = iter([Ok(Bytes::from_static(b"half"))]).chain(pending());
        let (mut upload, began) = (upload(half), Instant::now());
        let witness = upload.witness();
        assert_eq!(upload.body.next().await.unwrap().unwrap(), "half");
        let error = upload.body.next().await.unwrap().unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (io::ErrorKind::TimedOut, PATIENCE));
        let refused = witness.judge(Err::<(), _>(Error::internal("the bytes ended too soon")));
        assert!(matches!(refused, Err(NotKept::TooSlow)), "{refused:?}");
    }
}

//! The client that services are asked with.

use std::error::Error;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// Makes clients that say of each request whether it was sent. `object_store` asks again by that, but takes a connection that was closed
/// before the request was on it for an unknown end.
#[derive(Debug, Default)]
pub(crate) struct Connector(ReqwestConnector);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        self.0.connect(options).map(|client| HttpClient::new(Client(client)))
    }
}

#[derive(Debug)]
struct Client(HttpClient);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.0.execute(request).await.map_err(|error| match error.kind() {
            HttpErrorKind::Unknown if was_not_sent(&error) => HttpError::new(HttpErrorKind::Request, error),
            _ => error,
        })
    }
}

fn was_not_sent(error: &HttpError) -> bool {
    let causes = std::iter::successors(Some(error as &dyn Error), |&error| error.source());
    causes.filter_map(|error| error.downcast_ref::<hyper::Error>()).any(hyper::Error::is_canceled)
}

#[cfg(test)]
mod tests {
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use object_store::client::HttpRequestBody;

    use super::*;

    /// Ends as requests do whose connection is gone before they are on it.
    #[derive(Debug)]
    struct Gone;

    #[async_trait]
    impl HttpService for Gone {
        async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
            let (near, _far) = tokio::io::duplex(64);
            let (mut sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
            drop(connection);
            let error = sender.send_request(request).await.unwrap_err();
            Err(HttpError::new(HttpErrorKind::Unknown, error))
        }
    }

    #[tokio::test]
    async fn what_was_not_sent_is_said_to_be() {
        let request = || http::Request::new(HttpRequestBody::empty());
        let error = HttpClient::new(Gone).execute(request()).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Unknown);
        let error = HttpClient::new(Client(HttpClient::new(Gone))).execute(request()).await.unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Request, "so that it is tried again");
    }
}

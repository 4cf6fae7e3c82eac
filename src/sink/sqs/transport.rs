//! What aws-config is given instead of its own: our HTTP client and our clock.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use bytes::Bytes;
use http_body_util::Full;

use crate::clock::Clock;
use crate::sink::http_client::HttpClient;

/// Our clock as the library wants one.
#[derive(Debug)]
pub(super) struct ByClock(pub Clock);

impl TimeSource for ByClock {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

/// `client` as the library wants one. Each call keeps to the library's own limits, which are those of the service.
pub(super) fn over(client: HttpClient) -> SharedHttpClient {
    let client = Arc::new(client);
    http_client_fn(move |settings, _| {
        let limits = settings.connect_timeout().into_iter().chain(settings.read_timeout());
        SharedHttpConnector::new(Connector {
            client: Arc::clone(&client),
            limit: limits.reduce(Duration::saturating_add),
        })
    })
}

#[derive(Clone)]
struct Connector {
    client: Arc<HttpClient>,
    limit: Option<Duration>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { client, limit } = self.clone();
        HttpConnectorFuture::new(async move {
            let sent = send(&client, request);
            match limit {
                None => sent.await,
                Some(limit) => tokio::time::timeout(limit, sent)
                    .await
                    .map_err(|_| ConnectorError::timeout(format!("no answer within {limit:?}").into()))?,
            }
        })
    }
}

async fn send(client: &HttpClient, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let (head, body) = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?.into_parts();
    let body = body.bytes().ok_or_else(|| ConnectorError::user("a body in pieces".into()))?;
    let request = http::Request::from_parts(head, Full::new(Bytes::copy_from_slice(body)));
    let answer = client.send(request).await.map_err(|error| ConnectorError::io(error.into()))?;
    let mut response = http::Response::new(answer.body.to_vec().into());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

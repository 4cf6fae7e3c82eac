//! The handshakes: how vendors find out, before they send events, whether somebody wants them at an address. A vendor's
//! handshake is a row; whoever answers it knows none of them.

/// How one vendor asks and is answered.
pub struct Handshake {
    /// Its name in `handshake = "…"`.
    pub name: &'static str,
    /// What kind of request asks.
    pub asked: Asked,
    /// The text that such a request has at a place; of requests that could be events it tells which ones ask.
    pub mark: Option<(Place, &'static str)>,
    /// What must hold besides the allowlist.
    pub proof: Proof,
    /// Where the text stands that is wanted back.
    pub challenge: Place,
    /// How it is sent back.
    pub echo: Echo,
}

/// What kind of request asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// A GET, which no event is.
    Get,
    /// An OPTIONS, which no event is.
    Options,
    /// A POST that brings the challenge in its head and has no body, so that it is no event.
    EmptyPost,
    /// A POST that is proven as every event of its source is and has the mark.
    Event,
}

/// What must hold besides the allowlist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// What proves every event of the source.
    Event,
    /// One of the source's tokens, where it has any.
    Token,
    /// A token of the handshake's own at a place: `handshake_token` of the source.
    Own(Place),
    /// Nothing: the vendor sends nothing that could be looked at.
    Nothing,
}

/// Where a text stands in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the parameter of the query with this name.
    Query(&'static str),
    /// In the header with this name, in lower case.
    Header(&'static str),
    /// In the JSON of the body, at this pointer.
    Field(&'static str),
}

/// How a challenge is sent back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Echo {
    /// Alone, as plain text.
    Text,
    /// In a JSON object.
    Json {
        /// The name under which it stands.
        field: &'static str,
        /// The name under which HMAC-SHA256 of it stands in hex, made with the secret that verified the request.
        mac: Option<&'static str>,
    },
    /// In a header, without a body.
    Header {
        /// Its name, in lower case.
        name: &'static str,
        /// Further headers, their names in lower case.
        beside: &'static [(&'static str, &'static str)],
    },
}

impl Handshake {
    /// Whether it wants the key `handshake_token`.
    #[must_use]
    pub const fn has_own_token(&self) -> bool {
        matches!(self.proof, Proof::Own(_))
    }

    /// Whether it is answered with what only a secret that signs can make.
    #[must_use]
    pub const fn wants_mac(&self) -> bool {
        matches!(self.echo, Echo::Json { mac: Some(_), .. })
    }

    /// The methods that a source with it takes, as `Allow` lists them (RFC 9110, section 10.2.1).
    #[must_use]
    pub const fn methods(&self) -> &'static str {
        match self.asked {
            Asked::Get => "POST, GET",
            Asked::Options => "POST, OPTIONS",
            Asked::EmptyPost | Asked::Event => "POST",
        }
    }
}

/// Every one.
pub(super) static ROWS: [Handshake; 6] = [
    // https://api.slack.com/events/url_verification; signed as events are:
    // https://api.slack.com/authentication/verifying-requests-from-slack
    Handshake {
        name: "slack",
        asked: Asked::Event,
        mark: Some((Place::Field("/type"), "url_verification")),
        proof: Proof::Event,
        challenge: Place::Field("/challenge"),
        echo: Echo::Text,
    },
    // https://developers.facebook.com/docs/graph-api/webhooks/getting-started, "Verification Requests"
    Handshake {
        name: "meta",
        asked: Asked::Get,
        mark: Some((Place::Query("hub.mode"), "subscribe")),
        proof: Proof::Own(Place::Query("hub.verify_token")),
        challenge: Place::Query("hub.challenge"),
        echo: Echo::Text,
    },
    // https://developer.okta.com/docs/concepts/event-hooks/, "One-time verification request": the authorization header
    // that the hook is configured with comes along.
    Handshake {
        name: "okta",
        asked: Asked::Get,
        mark: None,
        proof: Proof::Token,
        challenge: Place::Header("x-okta-verification-challenge"),
        echo: Echo::Json { field: "verification", mac: None },
    },
    // https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint: again every 72 hours, within 3 s.
    Handshake {
        name: "zoom",
        asked: Asked::Event,
        mark: Some((Place::Field("/event"), "endpoint.url_validation")),
        proof: Proof::Event,
        challenge: Place::Field("/payload/plainToken"),
        echo: Echo::Json { field: "plainToken", mac: Some("encryptedToken") },
    },
    // https://developers.ringcentral.com/guide/notifications/webhooks/creating-webhooks: a POST with an empty body when a
    // subscription is created. It promises Verification-Token only for notifications.
    Handshake {
        name: "ringcentral",
        asked: Asked::EmptyPost,
        mark: None,
        proof: Proof::Nothing,
        challenge: Place::Header("validation-token"),
        echo: Echo::Header { name: "validation-token", beside: &[] },
    },
    // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md, section 4: permission to send at any
    // rate, explicitly neither authentication nor authorization.
    Handshake {
        name: "cloudevents",
        asked: Asked::Options,
        mark: None,
        proof: Proof::Nothing,
        challenge: Place::Header("webhook-request-origin"),
        echo: Echo::Header { name: "webhook-allowed-origin", beside: &[("webhook-allowed-rate", "*")] },
    },
];

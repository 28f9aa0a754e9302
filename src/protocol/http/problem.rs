//! Refusals as RFC 9457 problem details.

use http::HeaderMap;
use http::StatusCode;
use http::header;
use serde::Serialize;

/// The languages a title is written in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    ZhCn,
}

impl Language {
    /// The language the client would rather read: Chinese when it comes first among those known.
    pub fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let mut tags = lines
            .filter_map(|v| v.to_str().ok())
            .flat_map(|t| t.split(','))
            .map(|tag| tag.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        tags.find_map(|tag| match tag.split('-').next() {
            Some("zh") => Some(Self::ZhCn),
            Some("en") => Some(Self::En),
            _ => None,
        })
        .unwrap_or_default()
    }
}

/// The kinds of refusal, each with a stable type URI.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProblemKind {
    /// The request cannot be read in one way.
    BadRequest,
    /// Policy said no.
    Denied,
    /// A value that claims to be sealed and was not shown as such.
    ForgedEnvelope,
    /// A fault of the gateway.
    Internal,
    /// A second factor is missing, wrong, or was used before.
    MfaRequired,
    /// The method is not served here.
    MethodNotAllowed,
    /// What is there stands against the write.
    Conflict,
    /// The client accepts nothing a data route can carry.
    NotAcceptable,
    /// The version that the client named is not the one that is there.
    PreconditionFailed,
    /// The client took too long.
    Timeout,
    /// More was sent than is read.
    TooLarge,
    /// What was sent can be read, but not done.
    Unprocessable,
    /// What was sent is of a type that is not read.
    UnsupportedMedia,
    /// Nothing answers under that name.
    NotFound,
    /// A part of the product that is not there yet.
    NotServed,
    /// A limit was reached.
    Overloaded,
    /// The store failed.
    Store,
    /// The keys of what is sealed cannot be used just now.
    KeyUnavailable,
    /// Nobody has shown who they are.
    Unauthenticated,
    /// Something that must work for data to leave does not.
    Unavailable,
}

impl ProblemKind {
    /// The type URI: `urn:privet:problem:` and a name that never changes.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Conflict => "urn:privet:problem:conflict",
            Self::PreconditionFailed => "urn:privet:problem:precondition-failed",
            Self::Timeout => "urn:privet:problem:timeout",
            Self::TooLarge => "urn:privet:problem:too-large",
            Self::Unprocessable => "urn:privet:problem:unprocessable",
            Self::UnsupportedMedia => "urn:privet:problem:unsupported-media",
            Self::BadRequest => "urn:privet:problem:bad-request",
            Self::Denied => "urn:privet:problem:denied",
            Self::ForgedEnvelope => "urn:privet:problem:forged-envelope",
            Self::Internal => "urn:privet:problem:internal",
            Self::MfaRequired => "urn:privet:problem:mfa-required",
            Self::MethodNotAllowed => "urn:privet:problem:method-not-allowed",
            Self::NotAcceptable => "urn:privet:problem:not-acceptable",
            Self::NotFound => "urn:privet:problem:not-found",
            Self::NotServed => "urn:privet:problem:not-served",
            Self::Overloaded => "urn:privet:problem:overloaded",
            Self::Store => "urn:privet:problem:store",
            Self::KeyUnavailable => "urn:privet:problem:key-unavailable",
            Self::Unauthenticated => "urn:privet:problem:unauthenticated",
            Self::Unavailable => "urn:privet:problem:unavailable",
        }
    }

    /// The status the kind usually has.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ForgedEnvelope | Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Denied | Self::MfaRequired => StatusCode::FORBIDDEN,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotServed => StatusCode::NOT_IMPLEMENTED,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Store => StatusCode::BAD_GATEWAY,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::KeyUnavailable | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it is called, for people.
    pub const fn title(self, language: Language) -> &'static str {
        let (en, zh) = match self {
            Self::Conflict => ("What is there stands against this", "与现有数据冲突"),
            Self::PreconditionFailed => ("The record is another version", "记录版本不符"),
            Self::Timeout => ("The request took too long", "请求超时"),
            Self::TooLarge => ("The request is too long", "请求过大"),
            Self::Unprocessable => ("What was sent cannot be done", "无法处理所提交的内容"),
            Self::UnsupportedMedia => ("This type of body is not read", "不支持该内容类型"),
            Self::BadRequest => ("The request cannot be served as it is", "请求格式有误"),
            Self::Denied => ("Policy does not allow this", "策略不允许此操作"),
            Self::ForgedEnvelope => ("A value claims to be sealed", "值冒充已加密内容"),
            Self::Internal => ("Something went wrong here", "网关内部错误"),
            Self::MfaRequired => ("This needs your second factor", "此操作需要第二重验证"),
            Self::MethodNotAllowed => ("The method is not allowed here", "此处不允许该方法"),
            Self::NotAcceptable => ("Nothing acceptable can be answered", "无法提供可接受的格式"),
            Self::NotFound => ("Nothing is found here", "未找到"),
            Self::NotServed => ("This is not served yet", "暂不支持"),
            Self::Overloaded => ("A limit was reached", "已达到限制"),
            Self::Store => ("The data store failed", "数据存储出错"),
            Self::KeyUnavailable => ("Keys cannot be used now", "当前无法使用密钥"),
            Self::Unauthenticated => ("Show who you are", "请先证明身份"),
            Self::Unavailable => ("Data cannot be released now", "当前无法提供数据"),
        };
        match language {
            Language::En => en,
            Language::ZhCn => zh,
        }
    }
}

/// One refusal, to be written as `application/problem+json`.
///
/// Every text in it is read by the client: no field values, no identifiers, no raw paths.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<&'static str>,
}

impl Problem {
    /// The media type of the written form.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem of `kind` with its usual status.
    pub const fn new(kind: ProblemKind, language: Language) -> Self {
        Self {
            kind: kind.uri(),
            title: kind.title(language),
            status: kind.status().as_u16(),
            detail: None,
            policy: None,
            rule: None,
            decision_id: None,
            missing: Vec::new(),
        }
    }

    /// Another status than the kind's usual one.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status.as_u16();
        self
    }

    /// What would help, where something was said.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// What happened this time and what would help.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The policy (its hash) and the rule that said no.
    #[must_use]
    pub fn with_rule(mut self, policy: Option<String>, rule: Option<String>) -> Self {
        self.policy = policy;
        self.rule = rule;
        self
    }

    /// The decision's id, by which an operator finds it in the audit log.
    #[must_use]
    pub fn with_decision(mut self, id: impl Into<String>) -> Self {
        self.decision_id = Some(id.into());
        self
    }

    /// The needs that were not met.
    #[must_use]
    pub fn with_missing(mut self, missing: Vec<&'static str>) -> Self {
        self.missing = missing;
        self
    }

    /// The status to answer with.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The body.
    pub fn to_json(&self) -> Vec<u8> {
        // Serialising strings and numbers into memory does not fail; an empty object is valid.
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec())
    }
}

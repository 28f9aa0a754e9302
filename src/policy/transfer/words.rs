//! The words for recipients and for the ways by which data may be passed abroad.

/// What a recipient is to the organisation (GDPR art. 4(7), 4(8), 26 and 28(4)).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RecipientKind {
    /// Decides by itself what the data is for.
    Controller,
    /// Decides so together with the organisation.
    JointController,
    /// Works on the organisation's behalf.
    Processor,
    /// Works on a processor's behalf.
    SubProcessor,
}

impl RecipientKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::Controller, Self::JointController, Self::Processor, Self::SubProcessor];

    /// The word used in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::JointController => "joint_controller",
            Self::Processor => "processor",
            Self::SubProcessor => "sub_processor",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What allows that data is passed abroad. Which law knows which stands in `regimes.tsv`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MechanismKind {
    /// A decision that the other country protects well enough (GDPR art. 45).
    Adequacy,
    /// Binding corporate rules (GDPR art. 47).
    Bcr,
    /// An assessment by the Cyberspace Administration of China (PIPL art. 38(1), 40).
    CacAssessment,
    /// A certificate (GDPR art. 46(2)(f)).
    Certification,
    /// A certificate under PIPL art. 38(2).
    CnCertification,
    /// What the provisions of 2024-03-22 exempt (art. 3 to 6).
    CnExempt,
    /// The standard contract under PIPL art. 38(3).
    CnStandardContract,
    /// A code of conduct (GDPR art. 46(2)(e)).
    Code,
    /// An exception for one situation (GDPR art. 49(1)).
    Derogation,
    /// Standard contractual clauses (GDPR art. 46(2)(c), (d)).
    Scc,
}

impl MechanismKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Adequacy,
        Self::Bcr,
        Self::CacAssessment,
        Self::Certification,
        Self::CnCertification,
        Self::CnExempt,
        Self::CnStandardContract,
        Self::Code,
        Self::Derogation,
        Self::Scc,
    ];

    /// The word used in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Adequacy => "adequacy",
            Self::Bcr => "bcr",
            Self::CacAssessment => "cac_assessment",
            Self::Certification => "certification",
            Self::CnCertification => "cn_certification",
            Self::CnExempt => "cn_exempt",
            Self::CnStandardContract => "cn_standard_contract",
            Self::Code => "code",
            Self::Derogation => "derogation",
            Self::Scc => "scc",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The cases one of which must be named: the letters of GDPR art. 49(1), and what the
    /// provisions of 2024-03-22 exempt in art. 3 (`transit`), 5(1)(1) (`contract`), 5(1)(2) (`hr`),
    /// 5(1)(3) (`emergency`) and 5(1)(4) (`below_threshold`). Empty where there are none.
    pub const fn cases(self) -> &'static [&'static str] {
        match self {
            Self::Derogation => &["a", "b", "c", "d", "e", "f", "g"],
            Self::CnExempt => &["contract", "hr", "emergency", "transit", "below_threshold"],
            _ => &[],
        }
    }

    /// The longest it may be good for, in seconds: a certificate under PIPL, three years
    /// (Measures for the Certification of Cross-Border Transfers, in force 2026-01-01).
    pub const fn longest_s(self) -> Option<u64> {
        match self {
            Self::CnCertification => Some(THREE_YEARS_S),
            _ => None,
        }
    }
}

/// Three years, one of which may be a leap year.
const THREE_YEARS_S: u64 = (3 * 365 + 1) * 86_400;

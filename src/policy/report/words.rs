//! What reports say, in English and 简体中文.

use crate::policy::ClearanceKind;
use crate::policy::LegalBasis;
use crate::policy::View;
use crate::policy::compile::ConsentRule;
use crate::policy::source::Separate;
use crate::policy::transfer::groups;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::Region;
use crate::types::RepresentativeKind;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::Cut;
use super::Effect;
use super::Fact;
use super::Form;
use super::Kind;
use super::Roles;
use super::fact::Cleared;
use super::fact::Passage;

/// A language of reports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// 简体中文.
    Chinese,
}

impl Language {
    /// Its tag (BCP 47).
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// One of two texts.
    pub(in crate::policy) const fn of<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }

    /// What a fact is called.
    pub(in crate::policy) fn fact(self, fact: &Fact) -> String {
        match fact {
            Fact::Role(roles) => self.roles(roles),
            Fact::Stands(in_one_of) => self.stands(*in_one_of),
            Fact::Mfa(within_s) => match self {
                Self::English => format!("second factor within {}", self.duration(*within_s)),
                Self::Chinese => format!("{}内完成二次验证", self.duration(*within_s)),
            },
            Fact::Ticket => self.of("ticket", "有工单").into(),
            Fact::Row { field, claim } => format!("{field} = caller.{claim}"),
            Fact::From(at) => format!("{} {}", self.of("from", "自"), day(*at)),
            Fact::Until(at) => format!("{} {}", self.of("until", "至"), day(*at)),
            Fact::Status(statuses) => {
                let words = statuses.iter().map(|status| self.status(*status));
                format!("{} {}", self.of("status", "状态为"), self.any(words))
            }
            Fact::OptedOut(name) => format!("{} `{name}`", self.of("opted out of", "已退出")),
            Fact::RecordRegion(regions) => {
                format!("{} {}", self.of("record of", "记录属于"), self.regions(regions))
            }
            Fact::CallerRegion(regions) => {
                format!("{} {}", self.of("caller in", "调用者位于"), self.regions(regions))
            }
            Fact::CallerRegionNot(regions) => {
                format!("{} {}", self.of("caller not in", "调用者不在"), self.regions(regions))
            }
            Fact::Cleared(cleared) => self.cleared(cleared),
            Fact::Gpc => self.of("the caller sends Sec-GPC: 1", "调用者发送 Sec-GPC: 1").into(),
            Fact::Recipient { meets, .. } if meets.is_empty() => {
                self.of("no recipient", "无接收方").into()
            }
            Fact::Recipient { meets, .. } => {
                let words = meets.iter().map(|id| format!("`{id}`"));
                format!("{} {}", self.of("recipient", "接收方为"), self.any(words))
            }
            Fact::Transfer(passages) => self.transfer(passages),
        }
    }

    /// In which ways somebody stands to the person, and of whom each counts.
    fn stands(self, ways: Capacities) -> String {
        let own =
            self.of("the record is about the caller, not deceased", "记录属于调用者本人且未故");
        let own = ways.meets(Capacities::SELF).then_some(own);
        let others = ways.kinds().map(|kind| match kind {
            RepresentativeKind::Guardian => {
                self.of("the caller is guardian of the minor", "调用者是该未成年人的监护人")
            }
            RepresentativeKind::NextOfKin => {
                self.of("the caller is next of kin of the deceased", "调用者是该逝者的近亲属")
            }
            RepresentativeKind::Agent => {
                self.of("the caller is agent of the person", "调用者是本人在世时的受托人")
            }
        });
        self.any(own.into_iter().chain(others).map(str::to_owned))
    }

    /// Why ways of standing to a person do not count.
    pub(super) fn lapsed(self, ways: Capacities) -> &'static str {
        if ways.meets(Capacities::SELF) {
            return self.of("nobody is a person who is deceased", "逝者的凭证不再代表任何人");
        }
        match ways.kinds().next() {
            Some(RepresentativeKind::Guardian) => {
                self.of("guardians count for living minors", "监护人仅对在世的未成年人有效")
            }
            Some(RepresentativeKind::NextOfKin) => {
                self.of("next of kin count for the deceased", "近亲属仅对逝者有效")
            }
            _ => self.of("agents count for the living", "受托人仅对在世者有效"),
        }
    }

    fn cleared(self, cleared: &Cleared) -> String {
        let Cleared { kind, role, for_s, review_within_s, .. } = cleared;
        let (length, review) = (self.duration(*for_s), self.duration(*review_within_s));
        match (self, kind) {
            (Self::English, ClearanceKind::Approval) => {
                format!("approved by `{role}` for {length}")
            }
            (Self::Chinese, ClearanceKind::Approval) => format!("经 `{role}` 批准，{length}内有效"),
            (Self::English, ClearanceKind::BreakGlass) => {
                format!("glass broken for {length}, reviewed by `{role}` within {review}")
            }
            (Self::Chinese, ClearanceKind::BreakGlass) => {
                format!("紧急启用，{length}内有效，`{role}` 须在{review}内复核")
            }
        }
    }

    /// To whom data may go, and whose.
    fn transfer(self, passages: &[Passage]) -> String {
        let words = passages.iter().map(|passage| {
            let from = passage.from.iter().map(|(regions, until)| {
                let regions = self.regions(regions);
                let end = (*until).min(passage.bound_until);
                match end.unix_ms() {
                    u64::MAX => regions,
                    _ => format!("{regions} {} {}", self.of("until", "至"), day(end)),
                }
            });
            format!("`{}` ({})", passage.to, from.collect::<Vec<_>>().join("; "))
        });
        let may = self.of("the transfer is allowed, to", "允许传输至");
        format!("{may} {}", words.collect::<Vec<_>>().join(", "))
    }

    fn roles(self, roles: &Roles) -> String {
        let subject = (!roles.subject.is_none()).then(|| self.stands(roles.subject));
        let claimed = (!roles.claimed.is_empty()).then(|| {
            let words = roles.claimed.iter().map(|role| format!("`{role}`"));
            format!("{} {}", self.of("caller also holds", "调用者另有角色"), self.any(words))
        });
        self.any(claimed.into_iter().chain(subject))
    }

    /// Facts that must all hold.
    pub(in crate::policy) fn all(self, facts: &[Fact]) -> String {
        let words: Vec<String> = facts.iter().map(|fact| self.fact(fact)).collect();
        words.join(self.of(" and ", " 且 "))
    }

    fn any(self, words: impl Iterator<Item = String>) -> String {
        words.collect::<Vec<_>>().join(self.of(" or ", " 或 "))
    }

    fn regions(self, regions: &[Region]) -> String {
        let mut left: Vec<Region> = regions.to_vec();
        let mut words = Vec::new();
        for group in groups() {
            if group.regions.iter().all(|region| left.contains(region)) {
                left.retain(|region| !group.regions.contains(region));
                words.push(group.name.to_string());
            }
        }
        words.extend(left.iter().map(ToString::to_string));
        self.any(words.into_iter())
    }

    /// What a status is called.
    pub(super) fn status(self, status: SubjectStatus) -> String {
        let chinese = match status {
            SubjectStatus::Active => "正常",
            SubjectStatus::Restricted => "限制处理",
            SubjectStatus::Objected => "已反对",
            SubjectStatus::Held => "保全",
            SubjectStatus::Minor => "未成年",
            SubjectStatus::Deceased => "已故",
            SubjectStatus::Erased => "已删除",
        };
        self.of(status.as_str(), chinese).into()
    }

    /// What an action is called.
    pub(super) fn action(self, action: Action) -> &'static str {
        let chinese = match action {
            Action::Read => "读取",
            Action::Create => "新建",
            Action::Update => "修改",
            Action::Delete => "删除",
            Action::Export => "导出",
        };
        match self {
            Self::English => action.as_str(),
            Self::Chinese => chinese,
        }
    }

    /// What a view is called.
    pub(in crate::policy) fn view(self, view: View) -> String {
        let english = view.to_string();
        if self == Self::English {
            return english;
        }
        let word = match view {
            View::Show => "明文",
            View::Generalize(_) => "概化",
            View::Mask(_) => "遮盖",
            View::Pseudonymize(_) => "假名化",
            View::Ciphertext => "密文",
            View::Drop => "不显示",
        };
        let rest = english.strip_prefix(view.word()).unwrap_or_default().replace(" to ", " ");
        format!("{word}{rest}")
    }

    /// What a row comes to.
    pub(in crate::policy) fn form(self, kind: Kind, form: Form) -> String {
        match (kind, form) {
            (_, Form::View(view)) => self.view(view),
            (_, Form::May(false)) => self.of("no", "否").into(),
            (Kind::Set, Form::May(true)) => self.of("may set", "可写").into(),
            (Kind::Selects, Form::May(true)) => self.of("may select by", "可按此查找").into(),
            (_, Form::May(true)) => self.of("may", "可以").into(),
        }
    }

    /// What a limit does, and when.
    pub(in crate::policy) fn cut(self, cut: &Cut) -> String {
        let mut text = match cut.effect {
            Effect::Deny => self.of("refused", "拒绝").to_owned(),
            Effect::LeaveOut => self.of("left out", "不返回该记录").to_owned(),
            Effect::Floor(view) => {
                format!("{} {}", self.of("no clearer than", "最多显示为"), self.view(view))
            }
            Effect::Count { over, within_s, deny } => self.count(over, within_s, deny),
        };
        if !cut.when.is_empty() {
            text = format!("{text}{}{}", self.of(" if ", "，如果 "), self.all(&cut.when));
        }
        if let Some(unless) = &cut.unless {
            text = format!("{text}{}{}", self.of(" unless ", "，除非 "), self.all(unless));
        }
        text
    }

    fn count(self, over: u32, within_s: u32, deny: bool) -> String {
        let within = self.duration(within_s.into());
        match (self, deny) {
            (Self::English, true) => format!("refused after {over} people within {within}"),
            (Self::English, false) => format!("alert after {over} people within {within}"),
            (Self::Chinese, true) => format!("{within}内显示超过 {over} 人后拒绝"),
            (Self::Chinese, false) => format!("{within}内显示超过 {over} 人时告警"),
        }
    }

    /// Which consent is needed, and where.
    pub(in crate::policy) fn consent(self, rule: &ConsentRule) -> String {
        let some = |asks: bool| {
            let own = rule.regions.iter().filter(|(_, own)| *own == asks);
            own.map(|(region, _)| *region).collect::<Vec<Region>>()
        };
        let (asking, free) = (some(true), some(false));
        let text = format!("{} `{}`", self.of("consent", "同意"), rule.name);
        let text = match &rule.separate {
            Separate::No => text,
            Separate::Everywhere => {
                format!("{text}{}", self.of(", asked for alone,", "（单独同意）"))
            }
            Separate::In(regions) => {
                let (alone, regions) =
                    (self.of("alone for records of", "单独同意："), self.regions(regions));
                format!("{text} ({alone} {regions})")
            }
        };
        if rule.default && free.is_empty() {
            return text;
        }
        if rule.default {
            let (but, free) =
                (self.of("but for records of", "，以下地区除外："), self.regions(&free));
            return format!("{text} {but} {free}");
        }
        let (of, asking) = (self.of("for records of", "，适用于"), self.regions(&asking));
        format!("{text} {of} {asking}{}", self.of(" or an unknown country", " 或地区未知的记录"))
    }

    /// A length of time.
    pub(in crate::policy) fn duration(self, seconds: u64) -> String {
        let (count, english, chinese) = match seconds {
            s if s > 0 && s % 86_400 == 0 => (s / 86_400, "day", "天"),
            s if s > 0 && s % 3600 == 0 => (s / 3600, "hour", "小时"),
            s if s > 0 && s % 60 == 0 => (s / 60, "minute", "分钟"),
            s => (s, "second", "秒"),
        };
        match self {
            Self::English => format!("{count} {english}{}", if count == 1 { "" } else { "s" }),
            Self::Chinese => format!("{count} {chinese}"),
        }
    }

    /// What a legal basis is called.
    pub(super) fn basis(self, basis: LegalBasis) -> &'static str {
        let chinese = match basis {
            LegalBasis::Consent => "同意",
            LegalBasis::Contract => "合同",
            LegalBasis::LegalObligation => "法定义务",
            LegalBasis::LegitimateInterest => "正当利益",
            LegalBasis::PublicTask => "公共任务",
            LegalBasis::VitalInterests => "重大利益",
        };
        match self {
            Self::English => basis.as_str(),
            Self::Chinese => chinese,
        }
    }
}

/// The day where it begins one, else the moment.
pub(super) fn day(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix("T00:00:00.000Z") {
        Some(day) => day.to_owned(),
        None => text,
    }
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

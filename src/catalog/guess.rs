//! What a field's name says it is: a guess for drafts, never a decision.
//!
//! Names are cut into words (`shippingAddressLine1` → `shipping address line 1`); English words,
//! their usual abbreviations, Chinese and pinyin are known. A guess comes with how sure it is, and
//! a person confirms it before a policy counts on it.

/// What a field may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Guess {
    /// The key of the category.
    pub category: &'static str,
    /// How sure, in percent.
    pub confidence: u8,
    /// What it is, in words.
    pub what: &'static str,
}

/// What the last name of `path` says the field is; `None`: nothing known.
pub fn by_name(path: &str) -> Option<Guess> {
    let last = path.rsplit('.').next().unwrap_or(path).trim_end_matches("[*]");
    let words = words(last);
    TABLE.iter().find(|row| row.any.iter().any(|phrase| says(&words, phrase))).map(|row| row.guess)
}

/// Whether the words of `phrase` stand in `words` one after the other; `^` and `$` at its ends
/// stand for the ends of the name. Chinese is looked for anywhere: it has no spaces.
fn says(words: &[String], phrase: &str) -> bool {
    if !phrase.is_ascii() {
        return words.iter().any(|word| word.contains(phrase));
    }
    let (at_start, phrase) = cut(phrase, |p| p.strip_prefix('^'));
    let (at_end, phrase) = cut(phrase, |p| p.strip_suffix('$'));
    let wanted: Vec<&str> = phrase.split(' ').collect();
    let last = words.len().saturating_sub(wanted.len());
    words.windows(wanted.len()).enumerate().any(|(at, found)| {
        (!at_start || at == 0) && (!at_end || at == last) && found.iter().eq(&wanted)
    })
}

fn cut<'p>(phrase: &'p str, strip: impl Fn(&'p str) -> Option<&'p str>) -> (bool, &'p str) {
    strip(phrase).map_or((false, phrase), |rest| (true, rest))
}

/// The words of a name, in small letters: cut at signs, digits, and where a capital follows.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before: Option<char> = None;
    let mut letters = name.chars().peekable();
    while let Some(c) = letters.next() {
        let lower_next = letters.peek().is_some_and(|next| next.is_lowercase());
        let starts = match before {
            Some(before) if c.is_uppercase() => {
                before.is_lowercase() || before.is_uppercase() && lower_next
            }
            Some(before) => before.is_alphanumeric() && before.is_numeric() != c.is_numeric(),
            None => false,
        };
        if starts || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words.retain(|word| !word.is_empty());
    words
}

struct Row {
    guess: Guess,
    any: &'static [&'static str],
}

const fn row(
    category: &'static str,
    confidence: u8,
    what: &'static str,
    any: &'static [&'static str],
) -> Row {
    Row { guess: Guess { category, confidence, what }, any }
}

/// The first row that fits counts, so what must not be overlooked stands first.
const TABLE: &[Row] = &[
    row(
        "user.authorization.password",
        95,
        "a password",
        &["password", "passwd", "pwd", "passphrase", "pin code", "密码", "口令", "mima"],
    ),
    row(
        "user.authorization.credentials",
        85,
        "a credential",
        &[
            "secret",
            "api key",
            "apikey",
            "access token",
            "refresh token",
            "auth token",
            "^token$",
            "otp",
            "credential",
            "credentials",
            "security answer",
        ],
    ),
    row(
        "user.government_id.passport_number",
        95,
        "a passport number",
        &["passport", "护照", "huzhao"],
    ),
    row(
        "user.government_id.drivers_license_number",
        90,
        "a driving licence",
        &[
            "driver license",
            "drivers license",
            "driver licence",
            "drivers licence",
            "driving license",
            "driving licence",
            "license number",
            "驾驶证",
            "驾照",
        ],
    ),
    row(
        "user.government_id.national_identification_number",
        90,
        "a national identity number",
        &[
            "ssn",
            "social security",
            "national id",
            "nationalid",
            "id card",
            "idcard",
            "id number",
            "identity number",
            "personal number",
            "nino",
            "cpf",
            "curp",
            "aadhaar",
            "nif",
            "dni",
            "tax id",
            "taxid",
            "sin number",
            "身份证",
            "证件号",
            "shenfenzheng",
            "sfz",
        ],
    ),
    row(
        "user.government_id.birth_certificate",
        85,
        "a birth certificate",
        &["birth certificate", "出生证"],
    ),
    row(
        "user.government_id.vehicle_registration",
        80,
        "a vehicle's registration",
        &["license plate", "licence plate", "number plate", "vin", "车牌"],
    ),
    row(
        "user.government_id.immigration",
        80,
        "a residence permit",
        &["visa number", "residence permit", "immigration", "居留"],
    ),
    row(
        "user.financial.credit_card",
        90,
        "a payment card",
        &[
            "credit card",
            "card number",
            "cardnumber",
            "^pan$",
            "cvv",
            "cvc",
            "card expiry",
            "信用卡",
            "银行卡",
        ],
    ),
    row(
        "user.financial.bank_account",
        90,
        "a bank account",
        &[
            "iban",
            "bank account",
            "account number",
            "routing number",
            "sort code",
            "swift",
            "bic",
            "开户",
            "银行账号",
        ],
    ),
    row(
        "user.financial",
        80,
        "money matters of a person",
        &["salary", "income", "wage", "credit score", "net worth", "debt", "工资", "收入", "薪"],
    ),
    row(
        "user.payment",
        60,
        "a payment",
        &["payment method", "payment details", "payment info", "支付"],
    ),
    row(
        "user.health_and_medical.insurance_beneficiary_id",
        85,
        "an insured person's number",
        &["insurance number", "insurance id", "beneficiary id", "医保"],
    ),
    row("user.health_and_medical.genetic", 95, "genes", &["genetic", "genome", "dna", "基因"]),
    row(
        "user.health_and_medical.record_id",
        80,
        "a medical record's number",
        &["medical record", "mrn", "patient record", "病历"],
    ),
    row(
        "user.health_and_medical",
        85,
        "health",
        &[
            "health",
            "medical",
            "diagnosis",
            "diagnoses",
            "disease",
            "allergy",
            "allergies",
            "medication",
            "prescription",
            "disability",
            "blood type",
            "symptom",
            "symptoms",
            "icd",
            "健康",
            "疾病",
            "诊断",
            "过敏",
            "病史",
        ],
    ),
    row("user.biometric.fingerprint", 90, "a fingerprint", &["fingerprint", "指纹"]),
    row(
        "user.biometric",
        85,
        "a body's measures",
        &[
            "biometric",
            "biometrics",
            "face id",
            "faceid",
            "iris",
            "retina",
            "voiceprint",
            "人脸",
            "虹膜",
            "声纹",
        ],
    ),
    row(
        "user.criminal_history",
        90,
        "criminal history",
        &["criminal", "conviction", "convictions", "犯罪"],
    ),
    row(
        "user.demographic.race_ethnicity",
        90,
        "race or ethnicity",
        &["race", "ethnicity", "ethnic", "民族", "minzu"],
    ),
    row(
        "user.demographic.religious_belief",
        90,
        "religion",
        &["religion", "religious", "faith", "宗教", "zongjiao"],
    ),
    row(
        "user.demographic.political_opinion",
        90,
        "political opinion",
        &["political", "party membership", "政治面貌", "党派"],
    ),
    row(
        "user.demographic.sexual_orientation",
        90,
        "sexual orientation",
        &["sexual", "sexuality", "orientation", "性取向"],
    ),
    row("user.childrens", 70, "a child's data", &["child", "children", "minor", "儿童", "子女"]),
    row(
        "user.location.precise",
        80,
        "a precise place",
        &[
            "latitude",
            "longitude",
            "^lat$",
            "^lng$",
            "^lon$",
            "geo",
            "gps",
            "coordinates",
            "geolocation",
            "经度",
            "纬度",
            "定位",
        ],
    ),
    row(
        "user.contact.email",
        95,
        "an e-mail address",
        &["email", "e mail", "mail address", "邮箱", "电子邮件", "youxiang"],
    ),
    row("user.contact.fax_number", 85, "a fax number", &["fax", "传真"]),
    row(
        "user.contact.phone_number",
        90,
        "a telephone number",
        &[
            "phone",
            "telephone",
            "mobile",
            "cell",
            "msisdn",
            "^tel$",
            "whatsapp",
            "手机",
            "电话",
            "shouji",
            "dianhua",
        ],
    ),
    row(
        "user.contact.address.postal_code",
        90,
        "a postal code",
        &["postcode", "post code", "postal code", "zip", "zipcode", "邮编", "youbian"],
    ),
    row(
        "user.device.ip_address",
        95,
        "an IP address",
        &["ip address", "ipaddress", "^ip$", "ip addr", "remote addr", "client ip", "last ip"],
    ),
    row("user.device.cookie_id", 80, "a cookie's id", &["cookie id", "cookie"]),
    row(
        "user.device.device_id",
        85,
        "a device's id",
        &[
            "device id",
            "imei",
            "imsi",
            "idfa",
            "gaid",
            "mac address",
            "android id",
            "advertising id",
            "设备号",
        ],
    ),
    row("user.device", 60, "a device", &["user agent", "device", "browser", "useragent", "设备"]),
    row(
        "user.contact.address.street",
        85,
        "a street",
        &["street", "address line", "house number", "addr", "街道", "详细地址"],
    ),
    row("user.contact.address.city", 80, "a city", &["city", "town", "城市", "chengshi"]),
    row(
        "user.contact.address.country",
        85,
        "a country",
        &["country", "nationality", "国家", "国籍"],
    ),
    row(
        "user.contact.address.state",
        75,
        "a region of a country",
        &["^state$", "province", "county", "region", "address state", "省份", "shengfen"],
    ),
    row("user.contact.address", 85, "an address", &["address", "addresses", "地址", "dizhi"]),
    row(
        "user.demographic.date_of_birth",
        95,
        "a date of birth",
        &[
            "birthday",
            "birthdate",
            "birth date",
            "date of birth",
            "dob",
            "born",
            "birth year",
            "生日",
            "出生",
            "shengri",
        ],
    ),
    row("user.demographic.gender", 90, "gender", &["gender", "sex", "性别", "xingbie"]),
    row(
        "user.demographic.marital_status",
        90,
        "marital status",
        &["marital", "spouse", "married", "婚姻"],
    ),
    row("user.demographic.age_range", 70, "age", &["^age$", "age range", "age group", "年龄"]),
    row("user.demographic.language", 80, "a language", &["language", "locale", "lang", "语言"]),
    row(
        "user.name.first",
        95,
        "a first name",
        &["first name", "firstname", "given name", "givenname", "forename", "middle name"],
    ),
    row(
        "user.name.last",
        95,
        "a family name",
        &["last name", "lastname", "surname", "family name", "familyname", "maiden name"],
    ),
    row(
        "user.account.username",
        75,
        "an account's name",
        &[
            "username",
            "user name",
            "login",
            "nickname",
            "nick",
            "handle",
            "screen name",
            "用户名",
            "昵称",
        ],
    ),
    row(
        "user.name",
        90,
        "a person's name",
        &[
            "full name",
            "fullname",
            "display name",
            "customer name",
            "contact name",
            "recipient name",
            "cardholder",
            "card holder",
            "姓名",
            "xingming",
        ],
    ),
    row("user.name", 55, "a name", &["^name$", "名称"]),
    row(
        "user.job_title",
        80,
        "a job",
        &["job title", "job", "occupation", "position", "职位", "职业"],
    ),
    row(
        "user.workplace",
        70,
        "a place of work",
        &["employer", "company", "workplace", "单位", "公司"],
    ),
    row(
        "user.social",
        70,
        "a social network",
        &[
            "facebook",
            "twitter",
            "linkedin",
            "instagram",
            "wechat",
            "weixin",
            "qq",
            "telegram",
            "微信",
        ],
    ),
    row(
        "user.content.self_image",
        80,
        "a picture of a person",
        &["avatar", "photo", "selfie", "profile picture", "portrait", "照片", "头像"],
    ),
    row(
        "user.content.private",
        60,
        "what a person wrote",
        &[
            "note",
            "notes",
            "comment",
            "comments",
            "message",
            "messages",
            "remark",
            "remarks",
            "bio",
            "about me",
            "feedback",
            "description free",
            "备注",
            "留言",
            "beizhu",
        ],
    ),
    row(
        "user.behavior.purchase_history",
        65,
        "purchases",
        &[
            "order",
            "orders",
            "purchase",
            "purchases",
            "cart",
            "items",
            "invoice",
            "invoices",
            "subscription",
            "订单",
        ],
    ),
    row(
        "user.behavior.browsing_history",
        75,
        "pages visited",
        &["browsing", "page views", "pageviews", "visited", "referrer", "referer", "浏览"],
    ),
    row(
        "user.behavior.search_history",
        80,
        "searches",
        &["search history", "search terms", "searches", "搜索"],
    ),
    row(
        "user.privacy_preferences",
        75,
        "privacy choices",
        &[
            "consent",
            "consents",
            "opt in",
            "opt out",
            "newsletter",
            "gdpr",
            "marketing emails",
            "同意",
        ],
    ),
    row("user.contact.url", 65, "a web address", &["website", "homepage", "profile url", "网址"]),
    row(
        "user.unique_id",
        80,
        "whom a record is about",
        &[
            "customer id",
            "user id",
            "client id",
            "member id",
            "patient id",
            "person id",
            "employee id",
            "subscriber id",
            "owner id",
            "buyer id",
            "account id",
            "uid",
            "客户号",
            "用户编号",
            "会员号",
        ],
    ),
    row("user.unique_id", 55, "an id", &["^id$", "uuid", "guid"]),
    row(
        "system.operations",
        60,
        "how the system runs",
        &[
            "created",
            "updated",
            "modified",
            "deleted",
            "created at",
            "updated at",
            "timestamp",
            "version",
            "revision",
            "etag",
            "status",
            "enabled",
            "active",
            "type",
            "创建时间",
            "更新时间",
            "状态",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::category;
    use crate::types::CategoryId;

    #[test]
    fn names_are_guessed_however_they_are_written() {
        for (name, category) in [
            ("email", "user.contact.email"),
            ("E-Mail", "user.contact.email"),
            ("primaryEmailAddress", "user.contact.email"),
            ("customers[*].contact.mobile_phone", "user.contact.phone_number"),
            ("shippingAddressLine1", "user.contact.address.street"),
            ("address", "user.contact.address"),
            ("IPAddress", "user.device.ip_address"),
            ("ip", "user.device.ip_address"),
            ("dateOfBirth", "user.demographic.date_of_birth"),
            ("dob", "user.demographic.date_of_birth"),
            ("SSN", "user.government_id.national_identification_number"),
            ("身份证号", "user.government_id.national_identification_number"),
            ("shenfenzheng", "user.government_id.national_identification_number"),
            ("手机号码", "user.contact.phone_number"),
            ("password_hash", "user.authorization.password"),
            ("cards[*].pan", "user.financial.credit_card"),
            ("firstName", "user.name.first"),
            ("userName", "user.account.username"),
            ("name", "user.name"),
            ("customer_id", "user.unique_id"),
            ("createdAt", "system.operations"),
            ("health_note", "user.health_and_medical"),
            ("tags[*]", ""),
            ("expandable", ""),
            ("shipment", ""),
            ("", ""),
        ] {
            let guessed = by_name(name).map_or("", |guess| guess.category);
            assert_eq!(guessed, category, "{name}");
        }
    }

    #[test]
    fn every_guess_is_a_category() {
        for row in TABLE {
            let id = CategoryId::parse(row.guess.category).unwrap();
            assert!(category::find(&id).is_some(), "{id}");
            assert!((1..=99).contains(&row.guess.confidence));
        }
    }
}

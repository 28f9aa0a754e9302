//! Made-up people and orders. The same number always makes the same person.
//!
//! No real person is described: names are drawn independently from lists, mail addresses end in
//! the reserved `.example`, phone numbers and identity numbers are marked as test values.

use serde_json::{Value, json};

/// How many people the demo's store holds.
pub(super) const PEOPLE: u32 = 1000;

/// The person the demo shows: Ana Ruiz, in London.
pub(super) const SHOWN: u32 = 2;

/// Names and places of one country.
struct Country {
    code: &'static str,
    given: &'static [&'static str],
    family: &'static [&'static str],
    places: &'static [(&'static str, &'static str)],
    dial: &'static str,
    family_first: bool,
}

/// Person `n`, from 1, as the store keeps them.
pub(super) fn person(n: u32) -> Value {
    if n == SHOWN {
        return shown();
    }
    let mut draw = Draw::new(u64::from(n));
    let country = draw.from(COUNTRIES);
    let (given, family) = (*draw.from(country.given), *draw.from(country.family));
    let name = match (country.family_first, given.is_ascii()) {
        (true, false) => format!("{family}{given}"),
        (true, true) => format!("{family} {given}"),
        (false, _) => format!("{given} {family}"),
    };
    let (city, street) = *draw.from(country.places);
    let note = *draw.from(NOTES);
    json!({
        "id": customer_id(n),
        "nickname": format!("{}{}", draw.from(NICKNAMES), n),
        "name": name,
        "email": format!("{}.{n}@mail.example", draw.from(NICKNAMES)),
        "phone": format!("{}{:09}", country.dial, draw.below(1_000_000_000)),
        "birthday": draw.date(1935, 2007),
        "address": {
            "street": format!("{} {street}", 1 + draw.below(180)),
            "city": city,
            "postcode": format!("{:05}", draw.below(100_000)),
        },
        "country": country.code,
        "national_id": format!("TEST-{}-{:07}", country.code, draw.below(10_000_000)),
        "health_note": note,
        "cards": cards(&mut draw),
        "last_order_at": draw.date(2025, 2026),
        "created_at": draw.date(2015, 2024),
    })
}

/// Order `n`, from 1, as the store keeps it.
pub(super) fn order(n: u32) -> Value {
    let mut draw = Draw::new(1 << 40 | u64::from(n));
    let customer = 1 + u32::try_from(draw.below(u64::from(PEOPLE))).unwrap_or(0);
    let items: Vec<Value> = (0..=draw.below(3))
        .map(|_| json!({ "sku": draw.from(SKUS), "quantity": 1 + draw.below(4) }))
        .collect();
    let cents = 500 + draw.below(45_000);
    json!({
        "id": order_id(n),
        "customer_id": customer_id(customer),
        "country": person(customer).get("country"),
        "items": items,
        "total": format!("{}.{:02}", cents / 100, cents % 100),
        "placed_at": draw.date(2024, 2026),
    })
}

/// The id of person `n`.
pub(super) fn customer_id(n: u32) -> String {
    format!("c-{}", 1000 + n)
}

/// The id of order `n`.
pub(super) fn order_id(n: u32) -> String {
    format!("o-{}", 5000 + n)
}

fn shown() -> Value {
    json!({
        "id": customer_id(SHOWN),
        "nickname": "ana",
        "name": "Ana Ruiz",
        "email": "ana@mail.example",
        "phone": "+447700900199",
        "birthday": "1988-10-09",
        "address": { "street": "1 High Street", "city": "London", "postcode": "N1 9GU" },
        "country": "GB",
        "national_id": "TEST0000T",
        "health_note": "allergic to penicillin",
        "cards": [{ "pan": "4000000000000002" }],
        "last_order_at": "2026-11-01",
        "created_at": "2019-05-17",
    })
}

fn cards(draw: &mut Draw) -> Vec<Value> {
    // 400000 is a range that no bank issues.
    (0..draw.below(3))
        .map(|_| json!({ "pan": format!("400000{:010}", draw.below(10_000_000_000)) }))
        .collect()
}

/// Numbers that look random and are always the same: SplitMix64 (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014).
struct Draw(u64);

impl Draw {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of `list`, which is never empty.
    #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
    fn from<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = usize::try_from(self.next()).unwrap_or(0) % list.len();
        &list[at]
    }

    fn date(&mut self, first: u64, last: u64) -> String {
        let year = first + self.below(last - first + 1);
        // Ten months, so that no date of the current year lies ahead.
        format!("{year}-{:02}-{:02}", 1 + self.below(10), 1 + self.below(28))
    }
}

const NICKNAMES: &[&str] =
    &["sun", "moon", "river", "stone", "cloud", "maple", "swift", "ember", "pixel", "willow"];
const NOTES: &[&str] = &["none", "asthma", "diabetes type 2", "allergic to nuts", "none", "none"];
const SKUS: &[&str] = &["teapot", "lamp", "scarf", "notebook", "kettle", "chess set", "umbrella"];

const COUNTRIES: &[Country] = &[
    Country {
        code: "GB",
        given: &["Olivia", "George", "Amelia", "Zoë", "Noah"],
        family: &["Smith", "O’Neill", "Taylor", "Patel", "Evans"],
        places: &[("London", "High Street"), ("Leeds", "Mill Lane"), ("Glasgow", "Bath Street")],
        dial: "+44",
        family_first: false,
    },
    Country {
        code: "DE",
        given: &["Jürgen", "Änne", "Lukas", "Mia", "Sören"],
        family: &["Müller", "Groß", "Schäfer", "Weiß", "Koch"],
        places: &[("Köln", "Domstraße"), ("Berlin", "Lindenweg"), ("München", "Isarring")],
        dial: "+49",
        family_first: false,
    },
    Country {
        code: "FR",
        given: &["Chloé", "Hélène", "François", "Anaïs", "Noël"],
        family: &["Lefèvre", "Martin", "Garçon", "Dubois", "D’Hôte"],
        places: &[("Paris", "rue de l’Église"), ("Nîmes", "place du Marché")],
        dial: "+33",
        family_first: false,
    },
    Country {
        code: "ES",
        given: &["Íñigo", "María", "Begoña", "José", "Ana"],
        family: &["Núñez", "García", "Peña", "Ruiz"],
        places: &[("Málaga", "Calle Mayor"), ("León", "Avenida del Sol")],
        dial: "+34",
        family_first: false,
    },
    Country {
        code: "CN",
        given: &["梅", "伟", "秀英", "子涵", "建国"],
        family: &["林", "王", "欧阳", "张", "陈"],
        places: &[("北京", "建国路"), ("上海", "南京东路"), ("深圳", "深南大道")],
        dial: "+86",
        family_first: true,
    },
    Country {
        code: "JP",
        given: &["さくら", "翔太", "美咲", "健"],
        family: &["佐藤", "鈴木", "高橋", "小林"],
        places: &[("東京", "銀座"), ("大阪", "本町")],
        dial: "+81",
        family_first: true,
    },
    Country {
        code: "KR",
        given: &["서연", "민준", "지우"],
        family: &["김", "이", "박"],
        places: &[("서울", "세종대로"), ("부산", "해운대로")],
        dial: "+82",
        family_first: true,
    },
    Country {
        code: "IN",
        given: &["अदिति", "आरव", "Priya", "Rahul"],
        family: &["शर्मा", "Iyer", "Singh", "पटेल"],
        places: &[("मुंबई", "Marine Drive"), ("Pune", "MG Road")],
        dial: "+91",
        family_first: false,
    },
    Country {
        code: "GR",
        given: &["Ελένη", "Γιώργος", "Δήμητρα"],
        family: &["Παπαδοπούλου", "Νικολάου"],
        places: &[("Αθήνα", "Ερμού"), ("Πάτρα", "Αγίου Ανδρέου")],
        dial: "+30",
        family_first: false,
    },
    Country {
        code: "UA",
        given: &["Олена", "Тарас", "Софія"],
        family: &["Шевченко", "Коваль"],
        places: &[("Київ", "Хрещатик"), ("Львів", "площа Ринок")],
        dial: "+380",
        family_first: false,
    },
    Country {
        code: "AE",
        given: &["ليلى", "أحمد", "فاطمة"],
        family: &["الهاشمي", "النجار"],
        places: &[("دبي", "شارع الشيخ زايد"), ("أبوظبي", "شارع الكورنيش")],
        dial: "+971",
        family_first: false,
    },
    Country {
        code: "IL",
        given: &["נועה", "דוד", "תמר"],
        family: &["כהן", "לוי"],
        places: &[("תל אביב", "דיזנגוף")],
        dial: "+972",
        family_first: false,
    },
    Country {
        code: "BR",
        given: &["João", "Antônia", "Luís"],
        family: &["Gonçalves", "Araújo", "Conceição"],
        places: &[("São Paulo", "Rua Augusta"), ("Brasília", "Eixo Monumental")],
        dial: "+55",
        family_first: false,
    },
    Country {
        code: "NG",
        given: &["Ọlúwaṣẹ́yí", "Chinwe", "Ngozi"],
        family: &["Adébáyọ̀", "Okafor"],
        places: &[("Lagos", "Broad Street"), ("Abuja", "Aminu Kano Crescent")],
        dial: "+234",
        family_first: false,
    },
    Country {
        code: "TH",
        given: &["สมชาย", "มาลี"],
        family: &["ใจดี", "ทองคำ"],
        places: &[("กรุงเทพฯ", "ถนนสุขุมวิท")],
        dial: "+66",
        family_first: false,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn people_are_the_same_every_time_and_come_from_many_countries() {
        assert_eq!(person(17), person(17));
        let countries: BTreeSet<String> =
            (1..=PEOPLE).map(|n| person(n)["country"].as_str().unwrap().to_owned()).collect();
        assert_eq!(countries.len(), COUNTRIES.len());
        let ids: BTreeSet<String> = (1..=PEOPLE).map(|n| person(n)["id"].to_string()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn every_address_is_under_a_reserved_name() {
        for n in 1..=PEOPLE {
            assert!(person(n)["email"].as_str().unwrap().ends_with("@mail.example"));
        }
    }

    #[test]
    fn orders_belong_to_people_who_exist() {
        for n in 1..=200 {
            let owner = order(n)["customer_id"].as_str().unwrap().to_owned();
            assert!((1..=PEOPLE).any(|p| customer_id(p) == owner));
        }
    }
}

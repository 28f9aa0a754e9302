//! What data is used for: the fideslang data uses, and which of them a privacy signal ends.

/// A use of data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataUse {
    /// Its key, such as `marketing.advertising.third_party`.
    pub key: &'static str,
    /// Whether it sells or shares data or lets others advertise with it, which is what somebody who
    /// sends `Sec-GPC: 1` has opted out of (Global Privacy Control, "Legal Effects"; CCPA
    /// Regulations § 7025).
    pub ends_by_gpc: bool,
}

/// The use with this key.
pub fn find(key: &str) -> Option<DataUse> {
    all().find(|known| known.key == key)
}

/// Every use, in the order of their keys.
pub fn all() -> impl Iterator<Item = DataUse> {
    include_str!("uses.tsv").lines().filter_map(|line| {
        let (key, flag) = line.split_once('\t')?;
        Some(DataUse { key, ends_by_gpc: flag == "gpc" })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uses_are_those_of_fideslang() {
        let keys: Vec<&str> = all().map(|known| known.key).collect();
        assert_eq!(keys.len(), 56);
        assert!(keys.is_sorted(), "in order, and none twice");
        for key in &keys {
            // What is named below another is below one that is named.
            let parent = key.rsplit_once('.').map(|(parent, _)| parent);
            assert!(parent.is_none_or(|parent| keys.contains(&parent)), "{key}");
        }
    }

    #[test]
    fn a_privacy_signal_ends_selling_sharing_and_advertising_for_others() {
        let ended = all().filter(|known| known.ends_by_gpc).map(|known| known.key);
        let expected = [
            "marketing.advertising.third_party",
            "marketing.advertising.third_party.targeted",
            "sales",
            "third_party_sharing",
            "third_party_sharing.legal_obligation",
        ];
        assert_eq!(ended.collect::<Vec<_>>(), expected);
        assert_eq!(find("marketing.advertising.first_party").map(|it| it.ends_by_gpc), Some(false));
        assert_eq!(find("third_party"), None);
    }
}

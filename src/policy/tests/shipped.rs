use super::NOW;
use super::file;
use super::told;
use crate::policy::PolicySet;
use crate::types::Faults;

const POLICY: &str = include_str!("../../../policies/customer-care.yaml");

#[test]
fn the_shipped_policy_compiles() {
    let mut faults = Faults::new();
    let set = PolicySet::compile(&[file("customer-care.yaml", POLICY)], NOW, &mut faults);
    println!("{}", told(faults));
    assert!(set.is_some());
}

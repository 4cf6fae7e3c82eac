//! Who answers for what a command does.

use std::collections::BTreeMap;

use clap::Args;

use crate::operations::Operator;

use super::failure::Failure;

/// Where the operator's name is looked for when it is not given; `sudo` tells who is behind it.
const VARIABLES: [&str; 2] = ["SUDO_USER", "USER"];

/// `--operator`
#[derive(Args, Default, PartialEq, Debug)]
pub(super) struct OperatorArg {
    /// Who answers for it, as the records will say; default: `SUDO_USER`, else `USER`
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
}

impl OperatorArg {
    /// The name given, else that of the user.
    pub(super) fn required(self, vars: &BTreeMap<String, String>) -> Result<Operator, Failure> {
        let name = self.operator.or_else(|| of_user(vars)).unwrap_or_default();
        if name.trim().is_empty() {
            let problem = "who answers for it? neither SUDO_USER nor USER is set: say --operator NAME";
            return Err(Failure::Usage(problem.to_owned()));
        }
        Operator::new(&name).map_err(|error| Failure::Usage(format!("--operator: {error}")))
    }
}

/// The user, for what takes no word of anybody; `unknown` where no variable tells.
pub(super) fn user(vars: &BTreeMap<String, String>) -> Result<Operator, Failure> {
    let name = of_user(vars).filter(|name| Operator::new(name).is_ok());
    Ok(Operator::new(name.as_deref().unwrap_or("unknown"))?)
}

fn of_user(vars: &BTreeMap<String, String>) -> Option<String> {
    VARIABLES.iter().find_map(|name| vars.get(*name).filter(|name| !name.is_empty()).cloned())
}

#[cfg(test)]
mod tests {
    use super::super::failure::Status;
    use super::*;

    fn operator(given: Option<&str>, vars: &[(&str, &str)]) -> Result<String, Status> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let operator = OperatorArg { operator: given.map(str::to_owned) }.required(&vars);
        operator.map(|operator| operator.as_str().to_owned()).map_err(|failure| failure.status())
    }

    #[test]
    fn somebody_has_to_answer_for_it() {
        let wrong = Err(Status::Wrong);
        assert_eq!(operator(Some("ann"), &[("USER", "root")]), Ok("ann".into()));
        assert_eq!(operator(None, &[("USER", "root"), ("SUDO_USER", "bob")]), Ok("bob".into()));
        assert_eq!(operator(None, &[("USER", "root"), ("SUDO_USER", "")]), Ok("root".into()));
        assert_eq!(operator(None, &[]), wrong);
        assert_eq!(operator(Some(" "), &[("USER", "root")]), wrong);
        assert_eq!(operator(Some("a\nb"), &[]), wrong);
        assert_eq!(operator(Some(&"x".repeat(248)), &[]), wrong);
        assert_eq!(user(&BTreeMap::new()).unwrap().as_str(), "unknown");
    }
}

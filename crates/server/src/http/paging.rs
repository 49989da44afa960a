//! Lists of what has names, page by page.

use serde::Deserialize;
use utoipa::IntoParams;

/// On one page at most, and where nobody says how many.
const MAX_PAGE: usize = 1000;

/// Where a list goes on that is in the order of its names.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Names {
    /// Behind this one: `next_after` of the page before.
    after: Option<String>,
    /// At most 1000.
    limit: Option<usize>,
}

impl Names {
    /// The page that is meant of all, and where the next one goes on.
    pub(super) fn page<T>(&self, mut all: Vec<T>, name: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        // Each database has an order of its own.
        all.sort_by(|one, other| name(one).cmp(name(other)));
        let first = self.after.as_ref().map_or(0, |after| all.partition_point(|one| name(one) <= after.as_str()));
        let limit = self.limit.unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
        let mut page = all.split_off(first);
        let has_more = page.len() > limit;
        page.truncate(limit);
        let next = page.last().filter(|_| has_more).map(|last| name(last).to_owned());
        (page, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_on_one_page() {
        let all = || ["b", "a/c", "a", "B", "d"].map(str::to_owned).to_vec();
        let (mut names, mut found) = (Names { after: None, limit: Some(2) }, Vec::new());
        loop {
            let (page, next) = names.page(all(), String::as_str);
            assert!(page.len() <= 2);
            found.extend(page);
            match next {
                Some(next) => names.after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, ["B", "a", "a/c", "b", "d"]);
        let gone = Names { after: Some("aa".into()), limit: None };
        assert_eq!(gone.page(all(), String::as_str), (vec!["b".to_owned(), "d".to_owned()], None));
    }
}

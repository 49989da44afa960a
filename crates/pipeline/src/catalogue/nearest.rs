//! The names nearest to one that is not known.

/// The number of letters to insert, delete, replace or swap with their neighbour to get from `a` to `b`.
pub fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut current = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            current[j] = replace.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                current[j] = current[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[b.len()]
}

/// The names that someone who wrote `name` may have meant: nearest first, at most three, none that is far off.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    // A name longer than any that people type is not a typing error, and would cost time.
    if name.chars().count() > 64 {
        return Vec::new();
    }
    let limit = (name.chars().count() / 3).clamp(1, 3);
    let lower = name.to_lowercase();
    let mut near: Vec<(usize, &str)> = known
        .filter(|k| k.len().abs_diff(name.len()) <= limit)
        // Case costs less than a letter: `ECHO` is nearer to `echo` than to anything else.
        .map(|k| (distance(&lower, &k.to_lowercase()) * 2 + usize::from(k != name), k))
        .filter(|(d, _)| *d <= limit * 2 + 1)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(3).map(|(_, k)| k).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_letters_cost_one() {
        assert_eq!(distance("ehco", "echo"), 1);
        assert_eq!(distance("echo", "echo"), 0);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn nearest_names_come_first_and_far_ones_not_at_all() {
        let known = ["echo", "error", "sh", "archiveArtifacts"];
        assert_eq!(nearest("ehco", known.into_iter()), ["echo"]);
        assert_eq!(nearest("Echo", known.into_iter()), ["echo"]);
        assert_eq!(nearest("archiveArtefacts", known.into_iter()), ["archiveArtifacts"]);
        assert!(nearest("frobnicate", known.into_iter()).is_empty());
    }
}

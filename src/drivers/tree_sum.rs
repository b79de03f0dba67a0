/// Numbers added, as they come, as a binary tree: left of its root stand as many as the largest power of
/// two below their count.
pub(crate) struct TreeSum {
    /// The sums of whole subtrees, the largest first.
    subtrees: [f64; usize::BITS as usize],
    /// How many numbers there are; each of its bits stands for a subtree of so many.
    count: usize,
}

impl TreeSum {
    /// No numbers.
    pub(crate) fn new() -> Self {
        Self {
            subtrees: [0.0; usize::BITS as usize],
            count: 0,
        }
    }

    /// Forgets all numbers.
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a number behind the others.
    pub(crate) fn add(&mut self, number: f64) {
        let mut sum = number;
        let mut place = self.count.count_ones() as usize;
        for _ in 0..self.count.trailing_ones() {
            place -= 1;
            sum += self.subtrees[place];
        }
        self.subtrees[place] = sum;
        self.count += 1;
    }

    /// The sum of all numbers.
    pub(crate) fn total(&self) -> f64 {
        let subtrees = &self.subtrees[..self.count.count_ones() as usize];
        let Some((last, others)) = subtrees.split_last() else {
            return 0.0;
        };
        others.iter().rfold(*last, |sum, subtree| subtree + sum)
    }
}

#[cfg(test)]
mod tests {
    use super::TreeSum;

    fn halved(numbers: &[f64]) -> f64 {
        if let [number] = numbers {
            return *number;
        }
        let (left, right) = numbers.split_at(numbers.len().next_power_of_two() / 2);
        halved(left) + halved(right)
    }

    #[test]
    fn numbers_are_added_as_if_they_were_halved() {
        let numbers: Vec<f64> = (1..100).map(|k| 1.0 / f64::from(k)).collect();
        let mut sum = TreeSum::new();
        assert_eq!(sum.total(), 0.0);
        for count in 1..=numbers.len() {
            sum.add(numbers[count - 1]);
            assert_eq!(sum.total(), halved(&numbers[..count]), "{count} numbers");
        }
        sum.clear();
        sum.add(3.0);
        assert_eq!(sum.total(), 3.0);
    }
}

use super::{Axes, AxisSet, Grid, Layout, Shelf};

fn standard_strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1) as isize;
    }
    strides
}

fn offsets(axes: Axes<'_>, count: usize) -> Vec<(isize, usize)> {
    (0..count).map(|entry| axes.locate(entry)).collect()
}

#[test]
fn a_standard_layout_is_what_its_axes_say() {
    let mut standard = 0;
    for shape in [
        &[6][..],
        &[1, 16],
        &[3, 4],
        &[3, 1],
        &[2, 3, 4],
        &[1, 3, 1],
        &[2, 1, 3, 2],
        &[0, 3],
        &[2, 0],
    ] {
        let last = shape.len() - 1;
        let (nothing, mut strides) = (AxisSet::None, standard_strides(shape));
        // Where an extent is 1 the stride says nothing.
        for (stride, &extent) in strides.iter_mut().zip(shape) {
            if extent == 1 {
                *stride = -77;
            }
        }
        for sample_axis in [None, Some(0), Some(last)] {
            for row_axes in [
                AxisSet::None,
                AxisSet::One(last),
                AxisSet::One(0),
                AxisSet::AllBut(0),
                AxisSet::All,
            ] {
                if sample_axis.is_some_and(|axis| row_axes.contains(axis)) {
                    continue;
                }
                let shelf = Shelf::new();
                let grid = Grid::new(shape, sample_axis, row_axes, &shelf);
                let own = &shape[..shape.len() - row_axes.count(shape.len())];
                let of_units = standard_strides(own);
                for (rows, axes, lacks) in [
                    (true, (shape, &strides[..]), nothing),
                    (false, (own, &of_units[..]), row_axes),
                ] {
                    if !Layout::is_standard(&grid, rows, axes, lacks) {
                        continue;
                    }
                    standard += 1;
                    let found = Layout::new(&grid, rows, axes, lacks, false);
                    if shape.contains(&0) {
                        // There is nothing to be located.
                        continue;
                    }
                    let expected = Layout::of_axes(&grid, rows, axes, lacks, false);
                    let what = format!("{grid:?}, rows: {rows}");
                    assert_eq!(found.sample_stride, expected.sample_stride, "{what}");
                    let units = [found.units(), expected.units()];
                    let [found_units, expected_units] = units.map(|axes| offsets(axes, grid.units));
                    assert_eq!(found_units, expected_units, "{what}");
                    let count = if rows { grid.row_len } else { 1 };
                    let row = [found.row(), expected.row()];
                    let [found_row, expected_row] = row.map(|axes| offsets(axes, count));
                    assert_eq!(found_row, expected_row, "{what}");
                }
            }
        }
    }
    assert!(standard > 20, "{standard}");
}

#[test]
fn layouts_of_one_shelf_are_their_own() {
    let shape = &[2, 3, 4, 5][..];
    let shelf = Shelf::new();
    let grid = Grid::new(shape, Some(0), AxisSet::One(3), &shelf);
    // None of these merge.
    let all_strides = [
        [1000, 100, 10, 1],
        [-1000, 7, 90, 2],
        [5, 1000, -10, 300],
        [1, 2, 30, 200],
    ];
    let layouts = all_strides
        .map(|strides| Layout::new(&grid, true, (shape, &strides), AxisSet::None, false));
    for (strides, layout) in all_strides.iter().zip(layouts) {
        for sample in 0..2 {
            for unit in 0..12 {
                let index = [sample, unit / 4, unit % 4];
                let offsets = index.iter().zip(strides);
                let expected = offsets.map(|(&at, stride)| at as isize * stride).sum();
                assert_eq!(layout.locate(sample, unit).0, expected, "{strides:?}");
            }
        }
        for entry in 0..5 {
            assert_eq!(layout.row().locate(entry).0, entry as isize * strides[3]);
        }
    }
}

#[test]
fn all_axes_but_one_have_their_simplest_name() {
    for rank in 1..5 {
        for axis in 0..rank {
            let (given, expected) = (AxisSet::all_but(axis, rank), AxisSet::AllBut(axis));
            assert_eq!(given.count(rank), expected.count(rank));
            for other in 0..rank {
                assert_eq!(given.contains(other), expected.contains(other));
            }
        }
    }
    assert_eq!(AxisSet::all_but(0, 2), AxisSet::One(1));
    assert_eq!(AxisSet::all_but(0, 1), AxisSet::None);
}

#[test]
fn what_is_nearly_standard_is_not() {
    let shape = &[3, 4][..];
    let shelf = Shelf::new();
    let grid = Grid::new(shape, Some(0), AxisSet::None, &shelf);
    for (own, strides) in [
        (shape, &[1, 3][..]),
        (shape, &[4, 2]),
        (shape, &[8, 1]),
        (shape, &[-4, 1]),
        (shape, &[4, 0]),
        (&[1, 4], &[4, 1]),
        (&[3, 1], &[1, 1]),
    ] {
        let is_standard = |strides| Layout::is_standard(&grid, true, (own, strides), AxisSet::None);
        assert!(!is_standard(strides), "{own:?} {strides:?}");
    }
    assert!(Layout::is_standard(
        &grid,
        true,
        (shape, &[4, 1]),
        AxisSet::None
    ));
    // Samples along the last axis.
    let grid = Grid::new(shape, Some(1), AxisSet::None, &shelf);
    assert!(!Layout::is_standard(
        &grid,
        true,
        (shape, &[4, 1]),
        AxisSet::None
    ));
}

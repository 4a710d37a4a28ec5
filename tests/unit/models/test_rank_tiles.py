from syntune.models.rank_tiles import MOST_RANK, fitted, padded


def test_tiles_are_no_larger_for_higher_ranks_than_for_64():
    assert [padded(rank) for rank in (0, 1, 16, 17, 128)] == [16, 16, 16, 32, 128]
    assert [fitted(128, rank) for rank in (0, 16, 64, 65, 128)] == [128, 128, 128, 64, 64]
    assert fitted(64, MOST_RANK) == 16  # the least that a product takes

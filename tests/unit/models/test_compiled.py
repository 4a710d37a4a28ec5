import os

from syntune.models.compiled import keep_compiled_programs


def test_compiled_programs_are_kept_beside_the_results_unless_the_environment_says_where(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {"TRITON_CACHE_DIR": "/elsewhere"})
    keep_compiled_programs()
    assert os.environ == {
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "results/cache/compiled"),
        "TRITON_CACHE_DIR": "/elsewhere",
    }

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import course_lib
from course_lib import settings


@pytest.fixture
def fresh_device():
    settings.device.cache_clear()
    yield
    settings.device.cache_clear()


def test_defaults_are_laptop_glyphs_and_the_project_folder(monkeypatch):
    for name in ("COURSE_PROFILE", "COURSE_DATASET", "COURSE_DATA", "COURSE_ROOT"):
        monkeypatch.delenv(name, raising=False)
    assert settings.profile() == "laptop"
    assert settings.dataset_name() == "glyphs"
    assert settings.data_folder() is None
    assert settings.root() == Path(course_lib.__file__).parent.parent


def test_empty_variables_count_as_unset(monkeypatch):
    for name in ("COURSE_PROFILE", "COURSE_DATASET", "COURSE_DATA", "COURSE_THREADS"):
        monkeypatch.setenv(name, " ")
    assert settings.profile() == "laptop"
    assert settings.dataset_name() == "glyphs"
    assert settings.data_folder() is None
    assert settings.thread_count() >= 1


@pytest.mark.parametrize("profile", settings.PROFILES)
def test_by_profile_chooses(monkeypatch, profile):
    monkeypatch.setenv("COURSE_PROFILE", profile)
    assert settings.by_profile(smoke="smoke", laptop="laptop", full="full") == profile


def test_unknown_profile_names_the_valid_ones(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "turbo")
    with pytest.raises(ValueError, match=r"'turbo'.*smoke, laptop, full"):
        settings.profile()


def test_folders_expand_the_home_folder(monkeypatch):
    monkeypatch.setenv("COURSE_DATA", "~/pictures")
    monkeypatch.setenv("COURSE_ROOT", "~/course")
    assert settings.data_folder() == Path.home() / "pictures"
    assert settings.root() == (Path.home() / "course").resolve()


def test_device_can_be_chosen(monkeypatch, fresh_device):
    monkeypatch.setenv("COURSE_DEVICE", "CPU")
    assert settings.device() == torch.device("cpu")


@pytest.mark.parametrize("name", ["quantum", "mps", "cuda"])
def test_a_device_that_is_not_there_is_refused(monkeypatch, fresh_device, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("COURSE_DEVICE", name)
    with pytest.raises(ValueError, match=f"'{name}'.*usable: cpu"):
        settings.device()


@pytest.mark.parametrize("name", ["cuda:3", "cuda:x"])
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, fresh_device, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("COURSE_DEVICE", name)
    with pytest.raises(ValueError, match=f"'{name}'.*cuda:0"):
        settings.device()


def test_without_a_wish_the_gpu_comes_first(monkeypatch, fresh_device):
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert settings.device().type == "cuda"


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (8, 4), (64, 4)])
def test_threads_follow_the_cores(monkeypatch, cores, threads):
    monkeypatch.delenv("COURSE_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert settings.thread_count() == threads


def test_threads_can_be_chosen(monkeypatch):
    monkeypatch.setenv("COURSE_THREADS", "3")
    assert settings.thread_count() == 3


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", "²"])
def test_a_thread_count_that_is_none_is_refused(monkeypatch, wrong):
    monkeypatch.setenv("COURSE_THREADS", wrong)
    with pytest.raises(ValueError, match="COURSE_THREADS"):
        settings.thread_count()


def test_variables_are_put_back_after_an_error_too(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    monkeypatch.delenv("COURSE_DATASET", raising=False)
    with pytest.raises(KeyError), settings.variables(COURSE_PROFILE="smoke", COURSE_DATASET="mnist"):
        assert (settings.profile(), settings.dataset_name()) == ("smoke", "mnist")
        raise KeyError
    assert settings.profile() == "full" and "COURSE_DATASET" not in os.environ

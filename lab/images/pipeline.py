"""Builds images in order and only where something they are made of has changed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.backends.docker.images import ImageStore
from lab.errors import LabError
from lab.images import packages, stages
from lab.images.bundle import write_bundle
from lab.images.recipe import Recipe, Store, Tree, digest, folder_parts, load, names

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageRecord:
    """One image of ours: its name, the key of what it should be, and what the engine has of it."""

    name: str
    key: str
    built: bool
    size: int  # bytes, 0 when not built
    created: str


def inventory(store: ImageStore, *, optional: bool = False) -> tuple[ImageRecord, ...]:
    """Lists the images, built or not: those a lab needs, and with `optional` the others too."""
    found = []
    for name in names(optional=optional):
        key = top_key(_image(name))
        size, created = store.look(_tag(name, key))
        found.append(ImageRecord(name, key, size > 0, size, created))
    return tuple(found)


def build(wanted: Sequence[str], store: ImageStore, cache: Path, say: Say, *, force: bool = False) -> None:
    """Builds the named images (none named: those a lab needs) and their parents."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        raise LabError(f"there is no image called {unknown[0]}", hint="lab images ls")
    chosen = [name for name in names() if name in _with_parents(wanted or names(optional=False))]
    recipes = [_image(name) for name in chosen]
    stale = [recipe for recipe in recipes if force or not store.look(_tag(recipe.name, top_key(recipe)))[0]]
    tars = make_trees([recipe for recipe in stale if not _has_base(recipe, store)], cache, say)
    for recipe in recipes:
        if recipe in stale:
            _build_one(recipe, store, tars, say)
        store.use(_tag(recipe.name, top_key(recipe)))
    store.prune({_tag(r.name, top_key(r)) for r in recipes} | {_base_tag(r) for r in recipes})


def base_key(recipe: Recipe) -> str:
    """Digest of the packages an image is made of, its parent's included."""
    parent = [base_key(_image(recipe.parent)).encode()] if recipe.parent else []
    store = [f"{recipe.store.path} {recipe.store.key}".encode()] if recipe.store else []
    return digest([*parent, *(f"{path} {tree.key}".encode() for path, tree in recipe.trees), *store])


def top_key(recipe: Recipe) -> str:
    """Digest of everything an image is made of."""
    parts = [base_key(recipe).encode()]
    steps = [recipe.folder / name for name in ("Containerfile", "install")]
    parts += [step.read_bytes() for step in steps if step.exists()]
    for path, source in recipe.files:
        parts += [path.encode(), *folder_parts(source)]
    if recipe.bundle:
        with tempfile.TemporaryDirectory() as folder:
            bundle = Path(folder) / "bundle"
            write_bundle(bundle)
            parts.append(bundle.read_bytes())
    if recipe.native:
        parts.append(top_key(_image(recipe.native)).encode())
    return digest(parts)


def make_trees(recipes: Sequence[Recipe], cache: Path, say: Say) -> dict[str, Path]:
    """Makes the trees that are needed, two at a time: each is mostly one process that waits for another."""
    trees = {tree.name: tree for recipe in recipes for _, tree in recipe.trees}
    with ThreadPoolExecutor(2) as pool:
        jobs = {name: pool.submit(_make_tree, tree, cache, say) for name, tree in trees.items()}
        tars = {name: job.result() for name, job in jobs.items()}
    stores = [recipe.store for recipe in recipes if recipe.store]
    return tars | {store.name: _make_store(store, tars, cache, say) for store in stores}


def _make_store(store: Store, tars: dict[str, Path], cache: Path, say: Say) -> Path:
    found = packages.made_store(store, cache)
    if not found.exists():
        say(f"{store.name}: fetching packages for later")
        packages.make_store(store, tars, found)
    return found


def _make_tree(tree: Tree, cache: Path, say: Say) -> Path:
    found = stages.made_tree(tree, cache)
    if found.exists():
        return found
    say(f"{tree.name}: fetching and unpacking {len(tree.packages)} packages and what they need")
    stages.make_tree(tree, found)
    say(f"{tree.name}: packages ready")
    return found


def _build_one(recipe: Recipe, store: ImageStore, tars: dict[str, Path], say: Say) -> None:
    base = _base_tag(recipe)
    with tempfile.TemporaryDirectory(prefix="rackling-") as folder:
        context = Path(folder) / "context.tar"
        if not _has_base(recipe, store):
            say(f"{recipe.name}: making the base image")
            parent = _base_tag(_image(recipe.parent)) if recipe.parent else "scratch"
            stages.base_context(recipe, parent, tars, context)
            store.build(context, base, {})
        say(f"{recipe.name}: adding our files and installing")
        stages.top_context(recipe, context)
        store.build(context, _tag(recipe.name, top_key(recipe)), _arguments(recipe, base))
    say(f"{recipe.name}: done")


def _arguments(recipe: Recipe, base: str) -> dict[str, str]:
    """What the last step is told: the images it begins with and takes from, and the release."""
    native = {"NATIVE": _tag(recipe.native, top_key(_image(recipe.native)))} if recipe.native else {}
    release = {"RELEASE": recipe.release} if recipe.release else {}
    return {"BASE": base, **native, **release}


def _has_base(recipe: Recipe, store: ImageStore) -> bool:
    return store.look(_base_tag(recipe))[0] > 0


def _with_parents(wanted: Sequence[str]) -> set[str]:
    found = set(wanted)
    for name in wanted:
        recipe = _image(name)
        for other in (recipe.parent, recipe.native):
            found |= _with_parents([other]) if other else set()
    return found


def _image(name: str) -> Recipe:
    recipe = load(name)
    if recipe is None:
        raise LabError(f"{name} describes a tree, not an image", hint="lab images ls")
    return recipe


def _tag(name: str, key: str) -> str:
    return f"rackling/{name}:{key}"


def _base_tag(recipe: Recipe) -> str:
    return _tag(f"{recipe.name}-base", base_key(recipe))

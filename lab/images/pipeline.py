"""Builds images in order, and only those in which something has changed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path

from lab.backends.docker.images import ImageStore
from lab.backends.editions import edition
from lab.errors import LabError, did_you_mean
from lab.images import environments, node_modules, packages, scripts, stages
from lab.images.bundle import write_bundle
from lab.images.recipe import Environment, Recipe, Store, Tree, digest, folder_parts, load, names
from lab.system_errors import writing

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageRecord:
    """One image: its name, the key of its present recipe, and whether the engine has it."""

    name: str
    key: str
    built: bool
    size: int  # bytes, 0 when not built
    created: str
    outdated: bool = False  # not built, and labs would be made of what an earlier recipe built
    needed: bool = True  # by every lab
    variant: bool = False  # of an image that labs need; some labs are made of it instead


def inventory(store: ImageStore, *, optional: bool = False) -> tuple[ImageRecord, ...]:
    """Lists the images that a lab needs, whether built or not; with `optional`, all images."""
    found = []
    needed = names(optional=False)
    for name in names(optional=optional):
        recipe = _image(name)
        key = top_key(recipe)
        size, created = store.look(_tag(name, key))
        outdated = size == 0 and store.look(_tag(name, edition()))[0] > 0
        of = ImageRecord(name, key, size > 0, size, created, outdated, recipe.default)
        found.append(replace(of, variant=recipe.on in needed))
    return tuple(found)


def build(wanted: Sequence[str], store: ImageStore, cache: Path, say: Say, *, force: bool = False) -> None:
    """Builds the named images and their parents; without names, the images that a lab needs."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        near = did_you_mean(unknown[0], names())
        raise LabError(f"there is no image called {unknown[0]}{near}", hint="lab images ls")
    chosen = [name for name in names() if name in _with_parents(wanted or names(optional=False))]
    recipes = [_image(name) for name in chosen]
    stale = [recipe for recipe in recipes if force or not store.look(_tag(recipe.name, top_key(recipe)))[0]]
    tars = make_trees([recipe for recipe in stale if not _has_base(recipe, store)], cache, say)
    for recipe in recipes:
        if recipe in stale:
            _build_one(recipe, store, tars, say)
        store.use(_tag(recipe.name, top_key(recipe)))
    store.prune({_tag(r.name, top_key(r)) for r in recipes} | {_base_tag(r) for r in recipes})


def kept_names() -> frozenset[str]:
    """The names of all trees, package stores and environments that recipes have."""
    recipes = [_image(name) for name in names()]
    stores = {recipe.store.name for recipe in recipes if recipe.store}
    stores |= {recipe.script.package for recipe in recipes if recipe.script}
    stores |= {recipe.environment.name for recipe in recipes if recipe.environment}
    stores |= {recipe.modules.name for recipe in recipes if recipe.modules}
    return frozenset(stores | {tree.name for recipe in recipes for _, tree in recipe.trees})


def base_key(recipe: Recipe) -> str:
    """Makes a digest of the packages of an image, those of its parent included."""
    parent = [base_key(_image(recipe.parent)).encode()] if recipe.parent else []
    parent += [top_key(_image(recipe.on)).encode()] if recipe.on else []
    store = [f"{recipe.store.path} {recipe.store.key}".encode()] if recipe.store else []
    store += [recipe.script.key.encode()] if recipe.script else []
    store += [recipe.environment.key.encode()] if recipe.environment else []
    store += [recipe.modules.key.encode()] if recipe.modules else []
    return digest([*parent, *(f"{path} {tree.key}".encode() for path, tree in recipe.trees), *store])


def top_key(recipe: Recipe) -> str:
    """Makes a digest of everything that an image is made of."""
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
    """Makes the trees, package stores and scripts of recipes, two trees at a time.

    Most of the time is waiting. Ctrl-C, and one tree that fails, stop the others at once.
    """
    trees = {tree.name: tree for recipe in recipes for _, tree in recipe.trees}
    stop = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        try:
            jobs = {name: pool.submit(_make_tree, tree, cache, say, stop) for name, tree in trees.items()}
            for job in as_completed(jobs.values()):
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    tars = {name: job.result() for name, job in jobs.items()}
    stores = [recipe.store for recipe in recipes if recipe.store]
    made = {store.name: _make_store(store, tars, cache, say) for store in stores}
    made |= {one.package: scripts.made(one, cache, say) for recipe in recipes if (one := recipe.script)}
    folders = [recipe.modules for recipe in recipes if recipe.modules]
    made |= {one.name: node_modules.made(one, cache, say) for one in folders}
    wanted = [recipe.environment for recipe in recipes if recipe.environment]
    return tars | made | {one.name: _make_environment(one, cache, say) for one in wanted}


def _make_store(store: Store, tars: dict[str, Path], cache: Path, say: Say) -> Path:
    found = packages.made_store(store, cache)
    if not found.exists():
        say(f"{store.name}: downloading packages for the package store")
        with writing(found):
            packages.make_store(store, tars, found)
    return found


def _make_environment(environment: Environment, cache: Path, say: Say) -> Path:
    found = environments.made_environment(environment, cache)
    if not found.exists():
        say(f"{environment.name}: downloading wheels for Python {environment.python}")
        with writing(found):
            environments.make_environment(environment, found)
    return found


def _make_tree(tree: Tree, cache: Path, say: Say, stop: threading.Event) -> Path:
    found = stages.made_tree(tree, cache)
    if found.exists():
        return found
    say(f"{tree.name}: downloading and unpacking {len(tree.packages)} packages and their dependencies")
    stages.make_tree(tree, found, stop)
    say(f"{tree.name}: packages ready")
    return found


def _build_one(recipe: Recipe, store: ImageStore, tars: dict[str, Path], say: Say) -> None:
    base = _base_tag(recipe)
    with tempfile.TemporaryDirectory(prefix="rackling-") as folder:
        context = Path(folder) / "context.tar"
        if not _has_base(recipe, store):
            say(f"{recipe.name}: building the base image")
            parent = _parent_tag(recipe)
            with writing(context):
                stages.base_context(recipe, parent, tars, context)
            store.build(context, base, {})
        say(f"{recipe.name}: adding files and installing")
        with writing(context):
            stages.top_context(recipe, context)
        store.build(context, _tag(recipe.name, top_key(recipe)), _arguments(recipe, base))
    say(f"{recipe.name}: done")


def _arguments(recipe: Recipe, base: str) -> dict[str, str]:
    """Returns the build arguments of the last stage: its base image, the native image, and the release."""
    native = {"NATIVE": _tag(recipe.native, top_key(_image(recipe.native)))} if recipe.native else {}
    release = {"RELEASE": recipe.release} if recipe.release else {}
    return {"BASE": base, **native, **release}


def _has_base(recipe: Recipe, store: ImageStore) -> bool:
    return store.look(_base_tag(recipe))[0] > 0


def _with_parents(wanted: Sequence[str]) -> set[str]:
    found = set(wanted)
    for name in wanted:
        recipe = _image(name)
        for other in (recipe.parent, recipe.on, recipe.native):
            found |= _with_parents([other]) if other else set()
    return found


def _image(name: str) -> Recipe:
    recipe = load(name)
    if recipe is None:
        raise LabError(f"the recipe {name} makes a tree, not an image", hint="lab images ls")
    return recipe


def _tag(name: str, key: str) -> str:
    return f"rackling/{name}:{key}"


def _parent_tag(recipe: Recipe) -> str:
    """The image below the one of packages."""
    if recipe.on:
        return _tag(recipe.on, top_key(_image(recipe.on)))
    return _base_tag(_image(recipe.parent)) if recipe.parent else "scratch"


def _base_tag(recipe: Recipe) -> str:
    if recipe.on and not recipe.environment and not recipe.modules:
        return _parent_tag(recipe)
    return _tag(f"{recipe.name}-base", base_key(recipe))

"""``jwst-fusion match``: find in the archive's tables what can be fused."""

from pathlib import Path

from jwst_fusion.exceptions import NoOverlapError, ParameterError
from jwst_fusion.ownership import check_own

__all__ = ["add_parser", "run"]


def add_parser(commands):
    """Describe the subcommand."""
    parser = commands.add_parser(
        "match",
        help="find pairs of NIRSpec cubes and NIRCam images in a table of MAST",
        description="Find the NIRCam images that can be fused with each NIRSpec IFU cube in a table of "
        "MAST, by footprint and band, or by name and epoch for moving targets. The command "
        "writes a table of the pairs (match.ecsv), an association for each fusion "
        "(NAME_asn.json) and the manifest that jwst-fusion batch takes (manifest.json).",
        example="jwst-fusion match observations.csv --output-dir work --download",
    )
    parser.add_argument("table", metavar="TABLE", nargs="?", help="CSV, ECSV or VOTable that MAST exported")
    parser.add_argument(
        "--query", nargs="+", metavar="KEY=VALUE",
        help="ask MAST instead of reading a table, such as proposal_id=1288; needs astroquery (default: "
        "read TABLE)",
    )  # fmt: skip
    parser.add_argument("--output-dir", type=Path, default=Path("."), metavar="DIR",
        help="folder for the results")  # fmt: skip
    parser.add_argument("--data-dir", type=Path, metavar="DIR",
        help="folder of the archive's products (default: the output folder)")  # fmt: skip
    parser.add_argument("--min-overlap", type=float, default=0.5, metavar="SHARE",
        help="smallest share of the IFU's field that an image must cover")  # fmt: skip
    parser.add_argument("--max-gap", type=float, default=float("inf"), metavar="DAYS",
        help="longest time between cube and image")  # fmt: skip
    parser.add_argument("--max-gap-moving", type=float, default=2.0, metavar="DAYS",
        help="the same for moving targets")  # fmt: skip
    parser.add_argument(
        "--sets", action="store_true",
        help="fuse cubes of one field together: gratings and pointings that share sky, with images of both "
        "channels; they are not fused one by one then",
    )  # fmt: skip
    parser.add_argument(
        "--stale", type=Path, nargs="?", const=Path(), metavar="DIR",
        help="keep only targets whose product is missing or out of date among the outputs of a batch in DIR "
        "(default of DIR: the output folder)",
    )  # fmt: skip
    parser.add_argument("--download", action="store_true", help="fetch the products that are missing")
    parser.add_argument("--base-url", metavar="URL", help="download service (default: that of MAST)")
    parser.set_defaults(run=run)


def run(arguments):
    """Match, and print the pairs; exit status 1 if a product could not be fetched."""
    from jwst_fusion.archive import manifest, match, table
    from jwst_fusion.archive.query import query_table

    if (arguments.table is None) == (arguments.query is None):
        raise ParameterError("match: give either a TABLE or --query KEY=VALUE")
    settings = match.MatchSettings(arguments.min_overlap, arguments.max_gap, arguments.max_gap_moving)
    source = arguments.table or f"MAST ({' '.join(arguments.query)})"
    rows = query_table(arguments.query) if arguments.query else table.read_table(arguments.table)
    products, left_out = table.products_of_table(rows, source)
    for reason, number in left_out.most_common():
        print(f"{number} rows left out: {reason}")
    pairs = match.find_pairs(products, settings)
    fusions, pairs = _fusions(products, pairs, settings, together=arguments.sets)
    cubes = sum(product.kind == "cube" for product in products)
    print(f"{cubes} cubes and {len(products) - cubes} images: {len(pairs)} pairs, {len(fusions)} fusions")
    folder = arguments.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    check_own(folder / "match.ecsv", folder / "manifest.json")
    pair_table = match.pair_table(pairs)
    table.write_table(pair_table, folder / "match.ecsv")
    if not fusions:
        raise NoOverlapError(
            f"{source}: no image covers the field and lies in the range of a cube; "
            f"{folder / 'match.ecsv'} gives the reason for each pair"
        )
    print(
        "\n".join(
            pair_table[pair_table["use"]]["cube", "filter", "image", "overlap", "gap"].pformat(max_lines=60)
        )
    )
    targets = manifest.write_associations(fusions, folder, arguments.data_dir or folder)
    replaced = ()
    if arguments.stale is not None:
        targets, replaced = _stale(targets, arguments.stale if arguments.stale.name else folder)
    manifest.write_manifest(targets, folder / "manifest.json")
    if not targets:
        print("nothing is stale")
        return 64
    status = _download(targets, arguments, replaced) if arguments.download else 0
    print(f"{len(targets)} associations, {folder / 'match.ecsv'}, {folder / 'manifest.json'}")
    return status


def _fusions(products, pairs, settings, *, together):
    """Fusions, of sets of cubes where there are any, and the pairs; tell the sets and what is in none."""
    from jwst_fusion.archive.match import find_fusions
    from jwst_fusion.archive.sets import find_sets, pairs_with_sets

    sets, left_out = find_sets(products, pairs, settings) if together else ({}, [])
    for name, members in sets.items():
        cubes, bands = dict.fromkeys(p.cube.filename for p in members), dict.fromkeys(p.band for p in members)
        print(f"set {name}: {', '.join(cubes)} with {', '.join(bands)}")
    for cube, reason in left_out:
        print(f"{cube.filename}: in no set, {reason}")
    in_sets = {pair.cube for members in sets.values() for pair in members}
    alone = find_fusions([pair for pair in pairs if pair.cube not in in_sets])
    return {**sets, **alone}, pairs_with_sets(pairs, sets)


def _stale(targets, folder):
    """Select and print the targets to be fused, with the reasons, and files that the archive made anew."""
    from jwst_fusion.archive.plan import outdated

    found, replaced = outdated(targets, folder)
    for target, reason in found:
        print(f"{target.name}: {reason}")
    return [target for target, _ in found], replaced


def _download(targets, arguments, replaced):
    """Fetch the files of all targets; exit status."""
    from jwst_fusion.archive.download import download

    files = {file.filename: file for target in targets for file in target.files}
    fetched, problems = download(
        list(files.values()),
        arguments.data_dir or arguments.output_dir,
        base_url=arguments.base_url,
        replaced=replaced,
    )
    print(f"{len(fetched)} files fetched, {len(files) - len(fetched) - len(problems)} were there")
    for problem in problems.values():
        print(problem)
    return 1 if problems else 0

"""`binaries.py TEMPLATE BINARIES BUILD`: what `sam build` writes, but of binaries that are there already."""

import pathlib
import shutil
import subprocess
import sys

import yaml
from samtranslator.yaml_helper import yaml_parse


def main() -> None:
    template, binaries, build = (pathlib.Path(each) for each in sys.argv[1:])
    document = yaml_parse(template.read_text())
    shutil.rmtree(build, ignore_errors=True)
    for name, resource in document["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            (build / name).mkdir(parents=True)
            # Two thirds of a development binary are for debuggers.
            subprocess.run(["strip", "-o", build / name / "bootstrap", binaries / binary], check=True)
            resource["Properties"]["CodeUri"] = name
    (build / "template.yaml").write_text(yaml.safe_dump(document))


if __name__ == "__main__":
    main()

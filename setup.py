"""The four rooms, models/ calibrate/ tools/ as rtdecode.models and so on, with every package inside them."""

from setuptools import find_packages, setup

ROOMS = {
    "rtdecode": "rtdecode",
    "rtdecode.models": "models",
    "rtdecode.calibrate": "calibrate",
    "rtdecode.tools": "tools",
}

setup(
    package_dir=ROOMS,
    packages=[
        name
        for package, folder in ROOMS.items()
        for name in (package, *(f"{package}.{inside}" for inside in find_packages(folder)))
    ],
)

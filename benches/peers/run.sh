#!/usr/bin/env bash
# Installs the libraries under target/peers, and compares. README.md has the options.
set -Eeuo pipefail
cd "$(dirname "$0")"
scratch=$(cd ../.. && pwd)/target/peers
mkdir -p "$scratch"
export PYTHONDONTWRITEBYTECODE=1

# install PYTHON WHAT PACKAGE...: once; says what cannot be had.
install() {
    local python=$1 what=$2
    shift 2
    if "$python" -c "import importlib.util as i; exit(i.find_spec('$what') is None)"; then
        return
    fi
    echo "installing $*"
    "$python" -m pip install -q --disable-pip-version-check "$@" ||
        echo "$* CANNOT BE INSTALLED."
}

# The first of the versions that there is, of the system or of pyenv.
python_of() {
    local version path
    for version in "$@"; do
        for path in "$(command -v "python$version" || true)" \
            "$(pyenv root 2>/dev/null || echo /none)/versions/$version".*/bin/python; do
            # pyenv has a command for versions that are there but not chosen.
            if [ -x "$path" ] && "$path" -c 'import venv' 2>/dev/null; then
                echo "$path"
                return
            fi
        done
    done
    return 1
}

python=${PEERS_PYTHON:-}
if [ -z "$python" ]; then
    python=$scratch/python/bin/python
    [ -x "$python" ] || "$(python_of 3.11 3.12 3.13 3)" -m venv "$scratch/python"
    install "$python" matplotlib numpy matplotlib
    install "$python" sklearn scikit-learn
    install "$python" optax jax optax
    install "$python" torch torch
fi

# The last MXNet, which newer versions of Python and NumPy do not run.
if [ -z "${PEERS_MXNET_PYTHON:-}" ]; then
    old=$scratch/mxnet/bin/python
    if [ ! -x "$old" ]; then
        if base=$(python_of 3.8 3.9 3.7 3.10); then
            "$base" -m venv "$scratch/mxnet"
        else
            echo "There is no Python from 3.7 to 3.10 for MXNet."
        fi
    fi
    [ ! -x "$old" ] || install "$old" mxnet mxnet==1.9.1 'numpy<1.24'
fi

exec "$python" compare.py "$@"

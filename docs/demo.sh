# The demo: three machines, a plan, a cluster, the proof. `make demo` runs it.
set -eu

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

say "$CLUSTERCTL" lab up --name "$LAB" --control-planes 1 --workers 2
INVENTORY=$("$CLUSTERCTL" lab inventory --name "$LAB")
say "$CLUSTERCTL" -i "$INVENTORY" plan bootstrap
say "$CLUSTERCTL" -i "$INVENTORY" bootstrap --yes
say "$CLUSTERCTL" -i "$INVENTORY" verify
say "$CLUSTERCTL" -i "$INVENTORY" status

cat <<END

The cluster is yours. What to type next:

  export CLUSTERCTL_INVENTORY=$INVENTORY
  $CLUSTERCTL plan bootstrap                       # 0 changes
  $CLUSTERCTL kubeconfig --output demo.kubeconfig
  $CLUSTERCTL lab ssh --name $LAB cp1
  make demo-down                                   # take all of it away
END

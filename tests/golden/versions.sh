# The versions of kubeadm in package repositories: reads, and changes nothing.
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

for repository in http://a/v1.35/deb; do
  if list=$(curl -fsSL --max-time 15 "$repository/Packages" 2>&1); then
    printf '%s\n' "$list" | awk '$1 == "Package:" {name = $2} $1 == "Version:" && name == "kubeadm" {print $2}'
  else
    printf '! %s: %s\n' "$repository" "$(printf '%s' "$list" | tail -n 1)"
  fi
done

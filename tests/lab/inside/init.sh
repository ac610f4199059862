#!/bin/sh
# The first process of a guest. Its root is the host's own, read-only; the rest of what it is stands in its kernel's
# command line. It ends by being the agent's parent for ever: a guest is never shut down, it only loses its power.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for word in $(cat /proc/cmdline); do
  case $word in lab_*=*) eval "${word%%=*}='${word#*=}'" ;; esac
done

mkdir -p /dev/shm
mount -t tmpfs tmpfs /dev/shm
for directory in /run /tmp /mnt; do mount -t tmpfs tmpfs $directory; done
mkdir /run/lock
for path in $(echo "$lab_paths" | tr , ' '); do # what the mounts above would hide of the host
  mkdir -p "$path" && mount -t hostfs -o "$path" none "$path"
done

hostname "$lab_name"
ip link set lo up
ip link set eth0 address "$lab_mac" up
ip address add "$lab_address/24" dev eth0

printf '#!/bin/sh\nexec modprobe -d %s "$@"\n' "$lab_modules" > /run/modprobe
chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe

disk() { # disk DEVICE DIRECTORY
  mkdir -p "$2"
  mount -t xfs "$1" "$2" || echo "lab: $1 can't be mounted"
}

serve() {
  /run/modprobe -a xfs nfsd
  disk /dev/ubda /mnt/disk
  mkdir -p /mnt/disk/shared /mnt/disk/state/v4recovery /mnt/disk/state/nfsdcld /run/rpc_pipefs
  touch /mnt/disk/state/etab /mnt/disk/state/rmtab
  mount --bind /mnt/disk/state /var/lib/nfs # which clients held what must outlive a crash
  mount -t nfsd nfsd /proc/fs/nfsd
  mount -t rpc_pipefs rpc_pipefs /run/rpc_pipefs
  echo 10 > /proc/fs/nfsd/nfsv4leasetime
  echo 10 > /proc/fs/nfsd/nfsv4gracetime
  nfsdcld -p /run/rpc_pipefs -s /var/lib/nfs/nfsdcld
  exportfs -o rw,no_root_squash,no_subtree_check,fsid=0,insecure,sync "$lab_clients:/mnt/disk/shared"
  rpc.mountd -N 2 -N 3
  rpc.nfsd -N 3 -V 4.2 8
}

work() {
  /run/modprobe -a xfs nfsv4
  disk /dev/ubda /mnt/local
  mkdir -p /mnt/winslow
  mount -t nfs4 -o vers=4.2,hard,lookupcache=positive "$lab_server:/" /mnt/winslow || echo "lab: no share"
}

case $lab_role in server) serve ;; node) work ;; esac
while :; do "$lab_python" -I "$lab_agent" "$lab_address"; sleep 1; done

#!/bin/sh
# shellcheck disable=SC2016,SC2154 # the shell of a step expands; lib.sh gives
# What podman does with a runtime for an ordinary user: it runs it as root of a user namespace, where
# root may make no cgroup.
# shellcheck source=tests/clients/record.sh
. "$clients/record.sh"
# shellcheck source=tests/clients/containers.sh
. "$clients/containers.sh"

containers_conf "/run/bin/$name"
# Root's runtime may be where nobody else may look.
mkdir /run/bin && cp "$RUNTIME" "/run/bin/$name"
joe=/run/joe
echo "joe:x:1000:1000::$joe:/bin/sh" >>/etc/passwd
echo 'joe:x:1000:' >>/etc/group
echo 'joe:100000:65536' | tee /etc/subuid >/etc/subgid
mkdir -p $joe/run $joe/v $joe/.config/containers
printf '[storage]\ndriver = "vfs"\n' >$joe/.config/containers/storage.conf
cp "$ARCHIVE" $joe/busybox.oci
chown -R 1000:1000 $joe
cat >"$SIDE/home/pod" <<END
#!/bin/sh
cd $joe
exec setpriv --reuid 1000 --regid 1000 --clear-groups env -i HOME=$joe XDG_RUNTIME_DIR=$joe/run TMPDIR=$joe \
  USER=joe TERM=xterm PATH=/usr/sbin:/usr/bin:/sbin:/bin podman "\$@"
END
# run OPTION...: without a network of its own, which would need a program more.
cat >"$SIDE/home/run" <<END
#!/bin/sh
exec pod run --rm --network none "\$@"
END
chmod 755 "$SIDE/home/pod" "$SIDE/home/run"

step 0 'pod load -q -i busybox.oci'
step 0 'pod info --format "{{.Host.Security.Rootless}} {{.Host.OCIRuntime.Name}}"'
step 0 'run busybox sh -c "grep -E \"^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)\" /proc/self/status; cat /proc/self/uid_map"'
step 0 'run --privileged busybox grep -E "^(Cap|NoNewPrivs|Seccomp)" /proc/self/status'
# runc shows the cgroups of who ran it.
step 0 'run busybox cat /proc/self/mountinfo | mountinfo | grep -v /sys/fs/cgroup/ | sort'
step 0 'run busybox sh -c "cd /dev && stat -c \"%n %F %a %u %g %t:%T %N\" * | sort"'
step 0 'run --user 33:34 --group-add 5 busybox id'
for userns in keep-id nomap auto; do
  step 0 "run --userns $userns busybox sh -c 'id -u; cat /proc/self/uid_map'"
done
step 0 'run --uidmap 0:0:100 --gidmap 0:0:100 busybox cat /proc/self/uid_map'
step 0 'run -v /run/joe/v:/v busybox touch /v/f; stat -c %u /run/joe/v/f'
step 0 'run -v vol:/srv --tmpfs /t --read-only busybox sh -c "touch /srv/x /t/x; touch /x; stat -c %u:%g /srv"'
step 0 'run --device /dev/null:/dev/nix busybox sh -c "stat -c %a:%u /dev/nix; echo x >/dev/nix"'
step 0 'run --sysctl kernel.msgmax=77 --hostname box busybox sh -c "hostname; cat /proc/sys/kernel/msgmax"'
step 0 'run --memory 20m --pids-limit 20 busybox echo limits are not for everybody'
step 0 'pod run --rm --network host --uts host --pid host busybox sh -c "test -d /proc/1 && echo sees"'
step 127 'run busybox nosuch'
step 126 'run busybox /etc'
step 7 'run --init busybox sh -c "cat /proc/1/comm; exit 7"'
step 0 'run -t busybox tty'
step 0 'pod run -d --name web --network none busybox sh -c "trap \"exit 3\" TERM; while :; do sleep 0.1; done"'
step 0 'pod exec web id; pod exec -u 33 web id; pod exec -t web tty; pod exec web sh -c "exit 4"; echo $?'
step 0 'pod top web user,huser,args | head -n 2; pod kill -s HUP web; pod diff web'
step 125 'pod pause web'
step 0 'pod stop -t 3 web; pod wait web; pod start web; pod kill web; pod wait web; pod rm web'
step 0 'pod pod create --name p --network none --infra-image busybox --infra-command "sleep 100"; pod run --rm --pod p busybox ls /sys/class/net; pod pod rm -f -t 0 p'
step 0 'pod rm -f -t 0 -a; find /run/joe/run/runc /run/joe/run/stave-oci -mindepth 1 2>/dev/null; true'

"""Calibration from hands by other least squares: a prototype that was measured once and not kept.

    python benchmarks/rig_adjustments.py stereo two123 four03 syn4 --capture runs/one_person

``one_person``: knuckle data synth runs/one_person --frames 1200 --cameras 4 --fps 30 --subjects 1
--seed 5 --no-depth. Each recording is calibrated as today at given clocks; from there on ``Joint``
solves for poses, clocks, smooth ways of all joints, bones and offsets at once, and ``VARIANTS``
solve today's adjustment with other numbers. Printed: rotation, direction, distance against the
boards' calibration, or the capture's, of each camera after the first.
"""

# ruff: noqa: B007, B008, B023, E741
import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.polynomial import legendre

import knuckle.views.adjustment as ad
import knuckle.views.calibrate as cal
import knuckle.views.looks as lk
from knuckle import HandTracker, Rig
from knuckle.data.interhand26m import InterHand26M, Selection
from knuckle.evaluate.rig import instants
from knuckle.hand import BONES, MIDDLE_RAY, SIDES, bone_lengths
from knuckle.results import Frame
from knuckle.track.skeleton import MEAN_LENGTHS_MM
from knuckle.views import huber
from knuckle.views.adjustment import Adjustment, _upright
from knuckle.views.decisions import LATENESS
from knuckle.views.lateness import _Watch
from knuckle.views.looks import Looks
from knuckle.views.motions import crosses, small
from knuckle.views.recordings import side_by_side
from knuckle.views.sync import Followed, follow
from knuckle.views.ways import _ways

#: Recording: clocks at which today's calibration begins, hand's length in mm.
CLOCKS = {
    "stereo": ([0, -0.002], 167),
    "stereo:200": ([0, -0.002], 167),
    "stereo-200": ([0, -0.002], 167),
    "two123": ([0, -0.117, -0.120], 200),
    "two1230": ([0, -0.117, -0.120, -0.094], 200),
    "two12": ([0, -0.117], 200),
    "two13": ([0, -0.120], 200),
    "two20": ([0, 0.023], 200),
    "four03": ([0, 0], 200),
}
#: Changes to ``BY_HANDS``; t: Student's t of 4 degrees in place of Huber; unsure: so large a share
#: of a look's joints, the least sure ones, counts as if five times as unsure; floor: least sigma.
VARIANTS = {
    "today": {},
    "t": {"t": 4.0},
    "t1": {"t": 1.0},
    "offset 2 %, t": {"t": 4.0, "offset": 0.02},
    "offset 3 %": {"offset": 0.03},
    "offset 0.8 %": {"offset": 0.008},
    "bones 0.3 mm": {"bone_mm": 0.3},
    "bones 3 mm": {"bone_mm": 3.0},
    "200 looks": {"most_shapes": 200},
    "equal": {"equal": True},
    "unsure": {"unsure": 0.3},
    "unsure, t": {"t": 4.0, "unsure": 0.3},
    "floor 1 %, t": {"t": 4.0, "floor": 0.01},
    "floor 0, t": {"t": 4.0, "floor": 0.0},
    "huber 1": {"huber": 1.0},
    "huber 3": {"huber": 3.0},
}
JOINT = {
    "at once": {"shake": 1.0, "beside": 0.01},
    "at once, t": {"shake": 1.0, "beside": 0.01, "student": True},
    "at once, errors of a window alike": {"shake": 0.2, "beside": 1.0},
}


@dataclass
class P:
    shake: float = 0.2  # of sigma
    beside: float = 1.0  # of sigma, common in window
    offset: float = 0.015
    bone: float = 1.0
    prop: float = 0.05
    known: float = 0.005
    size: float = 0.08
    huber: float = 1.5
    student: bool = False
    iters: int = 15
    clocks: bool = True
    samples: int = 3
    K: int = LATENESS.degree + 1
    swing: float = 1.0
    frames: int = 8
    focal: bool = False
    focal_doubt: float = 0.15


def windows(watches, late, p):
    clocks = [w.times_s - l for w, l in zip(watches, late, strict=False)]
    slow = max(w.period_s for w in watches)
    length = max(LATENESS.least_window_s, p.frames * slow)
    b, e = min(c[0] for c in clocks), max(c[-1] for c in clocks)
    for start in np.arange(b, e, length):
        for side in range(2):
            fr = {}
            for v, (c, w) in enumerate(zip(clocks, watches, strict=False)):
                rows = np.flatnonzero(
                    (c >= start) & (c < start + length) & np.isfinite(w.extents[side])
                )
                if len(rows) >= LATENESS.least_frames:
                    fr[v] = rows
            if len(fr) >= 2:
                yield start, length, side, fr


class Joint:
    def __init__(s, rig, seen, late, length, p=P()):
        s.p = p
        s.rig = rig
        V = s.V = len(seen)
        f0 = rig.cameras[0].T_camera_from_world.inverse()
        s.poses = [c.T_camera_from_world @ f0 for c in rig.cameras]
        s.late = np.array(late, float)
        [replace(c, T_camera_from_world=T) for c, T in zip(rig.cameras, s.poses, strict=False)]
        s.watches = [_Watch.of(x, T) for x, T in zip(seen, s.poses, strict=False)]
        usual = MEAN_LENGTHS_MM * (
            (length or MEAN_LENGTHS_MM[MIDDLE_RAY].sum()) / MEAN_LENGTHS_MM[MIDDLE_RAY].sum()
        )
        s.usual = usual
        s.lengths = usual.copy()
        s.doubt = p.known if length else p.size
        s.bone = p.bone / usual
        s.off = np.zeros((V, 21, 2))
        s.foc = np.zeros(V)
        s.W = []
        misses = []
        for start, L, side, fr in windows(s.watches, s.late, p):
            views = [
                s.watches[v].view(side, rows, s.watches[v].times_s[rows] - s.late[v] - start, L)
                for v, rows in fr.items()
            ]
            ways, miss = _ways(views, L)
            x = ways.x.reshape(21, -1, 3)
            if x.shape[1] != p.K:
                x = x[:, : p.K]
            w = {
                "start": start,
                "L": L,
                "side": side,
                "x": x,
                "cams": list(fr),
                "rays": [],
                "sig": [],
                "up": [],
                "t": [],
            }
            z = [v.depths(ways.x.reshape(21, -1, 3)) for v in views]
            w["size"] = np.median([np.median(v.size * d) for v, d in zip(views, z, strict=False)])
            for v, rows in fr.items():
                wt = s.watches[v]
                rays = wt.rays[side, rows]
                sig = wt.sigma[side, rows]
                w["rays"].append(rays)
                w["sig"].append(sig)
                w["up"].append(
                    _upright(rays[None], np.full((1, len(rows)), side == SIDES.index("left")))[0]
                )
                w["t"].append(wt.times_s[rows] - start)
            at = (np.arange(2 * (p.K - 1)) + 0.5) / (p.K - 1) - 1
            bends = _d(at, 2, p.K) * (2 / L) ** 2
            share = (
                LATENESS.shake**2 * L / len(at) / (LATENESS.swing * p.swing) / LATENESS.shake**2
            )  # cost in units of 1
            w["B"] = share * bends.T @ bends / w["size"] ** 2
            tau = (
                np.cos(np.pi * (np.arange(p.samples) + 0.5) / p.samples)
                if p.samples > 1
                else np.zeros(1)
            )
            w["Pb"] = legendre.legvander(tau, p.K - 1)
            s.W.append(w)
            misses.append(miss)
        med = np.median(misses)
        s.W = [w for w, m in zip(s.W, misses, strict=False) if m < LATENESS.most_strain * med]
        s.damp = 1e-3

    @property
    def nP(s):
        return 6 * (s.V - 1)

    @property
    def n(s):
        return s.nP + (s.V - 1) + 20 + 42 * s.V + s.V

    def normal(s):
        p = s.p
        n = s.n
        H = np.zeros((n, n))
        g = np.zeros(n)
        cost = 0.0
        parts = []
        iC = s.nP
        iB = iC + s.V - 1
        iO = iB + 20
        iF = iO + 42 * s.V
        for w in s.W:
            K = p.K
            x = w["x"]
            m = 21 * K * 3
            Hxx = np.zeros((21, K * 3, 21, K * 3))
            Hxs = np.zeros((21, K * 3, n))
            gx = np.zeros((21, K * 3))
            for a, v in enumerate(w["cams"]):
                T = s.poses[v]
                F = len(w["t"][a])
                tau = 2 * (w["t"][a] - s.late[v]) / w["L"] - 1
                Pm = legendre.legvander(tau, K - 1)
                Pd = _d(tau, 1, K) * (2 / w["L"])
                pos = np.einsum("fk,jkc->jfc", Pm, x)
                spd = np.einsum("fk,jkc->jfc", Pd, x)
                seen = pos @ T.rotation.T + T.translation_mm
                z = np.maximum(seen[..., 2], 50.0)
                pr = seen[..., :2] / z[..., None]
                rays = w["rays"][a].swapaxes(0, 1) * np.exp(s.foc[v])
                sig = w["sig"][a].T
                U = np.broadcast_to(w["up"][a][None], (21, F, 2, 2))
                r = (pr - (rays - np.einsum("jfab,jb->jfa", U, s.off[v]))) / sig[..., None]
                mm = np.linalg.norm(r, axis=-1)
                wt = (
                    1 / np.sqrt(1 + mm**2 / 4)
                    if p.student
                    else np.sqrt(np.where(mm < p.huber, 1.0, p.huber / np.maximum(mm, 1e-9)))
                )
                Jc = np.zeros((21, F, 2, 3))
                Jc[..., 0, 0] = Jc[..., 1, 1] = 1
                Jc[..., 2] = -pr
                Jc /= (z * sig)[..., None, None]
                Jx = Jc @ T.rotation
                common = 1 - 1 / np.sqrt(1 + F * (p.beside / p.shake) ** 2)

                def wh(A):  # (21,F,2,...)
                    A = A * (wt / p.shake).reshape(wt.shape + (1,) * (A.ndim - 2))
                    A = A - common * A.mean(axis=1, keepdims=True)
                    return A.reshape(21, 2 * F, *A.shape[3:])

                R = wh(r)
                A = wh(Jx[..., None, :] * Pm[None, :, None, :, None]).reshape(21, 2 * F, K * 3)
                cost += (R**2).sum()
                Js = []
                idx = []
                if v:
                    Jp = wh(np.concatenate([-Jc @ crosses(seen), Jc], -1))
                    Js.append(Jp)
                    idx += list(range(6 * (v - 1), 6 * v))
                    if p.clocks:
                        Js.append(wh(-(Jx @ spd[..., None])))
                        idx.append(iC + v - 1)
                if p.focal:
                    Js.append(wh(-(rays / sig[..., None])[..., None]))
                    idx.append(iF + v)
                At = A.swapaxes(1, 2)
                d = np.arange(21)
                Hxx[d, :, d, :] += At @ A
                gx -= (At @ R[..., None])[..., 0]
                Jo = wh(U / sig[..., None, None])  # (21,2F,2)
                io = iO + 42 * v + np.arange(42).reshape(21, 2)
                for j in range(21):
                    Hxs[j][:, io[j]] += At[j] @ Jo[j]
                    H[np.ix_(io[j], io[j])] += Jo[j].T @ Jo[j]
                g[io] -= (Jo.swapaxes(1, 2) @ R[..., None])[..., 0]
                if Js:
                    J = np.concatenate(Js, -1)
                    idx = np.array(idx)
                    Hxs[:, :, idx] += At @ J
                    fl = J.reshape(-1, len(idx))
                    H[np.ix_(idx, idx)] += fl.T @ fl
                    g[idx] -= fl.T @ R.ravel()
                    so = Jo.swapaxes(1, 2) @ J
                    for j in range(21):
                        H[np.ix_(io[j], idx)] += so[j]
                        H[np.ix_(idx, io[j])] += so[j].T
            # bending
            BB = np.kron(w["B"], np.eye(3))
            d = np.arange(21)
            Hxx[d, :, d, :] += BB
            xf = x.reshape(21, -1)
            gx -= xf @ BB
            cost += np.einsum("ja,ab,jb->", xf, BB, xf)
            # bones
            for Pb in w["Pb"]:
                pos = np.einsum("k,jkc->jc", Pb, x)
                b = pos[BONES[:, 1]] - pos[BONES[:, 0]]
                le = np.maximum(np.linalg.norm(b, axis=-1), 1e-6)
                off = np.log(le / s.lengths) / s.bone
                al = b / (le**2 * s.bone)[:, None]
                Jb = np.zeros((20, 21, K, 3))
                q = np.arange(20)
                Jb[q, BONES[:, 1]] += Pb[:, None] * al[:, None]
                Jb[q, BONES[:, 0]] -= Pb[:, None] * al[:, None]
                Jb = Jb.reshape(20, -1)
                Hxx.reshape(m, m)[...] += Jb.T @ Jb
                gx -= (Jb.T @ off).reshape(gx.shape)
                db = 1 / s.bone
                Hxs.reshape(m, n)[:, iB : iB + 20] -= Jb.T * db
                H[iB + q, iB + q] += db**2
                g[iB : iB + 20] += off * db
                cost += (off**2).sum()
            parts.append((w, Hxx.reshape(m, m), Hxs.reshape(m, n), gx.reshape(m)))
        logs = np.log(s.lengths / s.usual)
        ray = np.zeros(20)
        ray[MIDDLE_RAY] = s.lengths[MIDDLE_RAY] / s.lengths[MIDDLE_RAY].sum()
        size = np.log(s.lengths[MIDDLE_RAY].sum() / s.usual[MIDDLE_RAY].sum())
        J = np.concatenate([(np.eye(20) - 1 / 20) / p.prop, ray[None] / s.doubt])
        r = np.append((logs - logs.mean()) / p.prop, size / s.doubt)
        q = slice(iB, iB + 20)
        H[q, q] += J.T @ J
        g[q] -= J.T @ r
        cost += (r**2).sum()
        q = np.arange(iO, iF)
        H[q, q] += p.offset**-2
        g[q] -= s.off.ravel() / p.offset**2
        cost += (s.off**2).sum() / p.offset**2
        q = np.arange(iF, n)
        H[q, q] += p.focal_doubt**-2
        g[q] -= s.foc / p.focal_doubt**2
        if not p.clocks:
            q = np.arange(iC, iB)
            H[q, q] += 1e12
        return H, g, parts, cost

    def step(s):
        H, g, parts, cost = s.normal()
        S = H.copy()
        back = []
        for w, Hxx, Hxs, gx in parts:
            A = Hxx + np.diag(s.damp * np.diag(Hxx) + 1e-9)
            sol = np.linalg.solve(A, np.concatenate([Hxs, gx[:, None]], 1))
            S -= Hxs.T @ sol[:, :-1]
            g -= Hxs.T @ sol[:, -1]
            back.append(sol)
        S += np.diag(s.damp * np.diag(S) + 1e-9)
        st = np.linalg.solve(S, g)
        iC = s.nP
        iB = iC + s.V - 1
        iO = iB + 20
        iF = iO + 42 * s.V
        s.poses = [s.poses[0]] + [
            small(st[6 * (v - 1) : 6 * v]) @ s.poses[v] for v in range(1, s.V)
        ]
        s.late[1:] += np.clip(st[iC:iB], -0.05, 0.05)
        s.lengths = s.lengths * np.exp(np.clip(st[iB:iO], -0.2, 0.2))
        s.off = s.off + st[iO:iF].reshape(s.off.shape)
        s.foc = s.foc + st[iF:]
        for (w, *_), sol in zip(parts, back, strict=False):
            w["x"] = w["x"] + (sol[:, -1] - sol[:, :-1] @ st).reshape(w["x"].shape)
        return cost, st

    def solve(s, verbose=False):
        last = np.inf
        keep = None
        for i in range(s.p.iters):
            before = (s.poses, s.late.copy(), s.lengths, s.off, s.foc, [w["x"] for w in s.W])
            c, st = s.step()
            if c > last * 1.02:
                s.poses, s.late, s.lengths, s.off, s.foc, xs = keep
                for w, x in zip(s.W, xs, strict=False):
                    w["x"] = x
                s.damp = min(s.damp * 30, 1e4)
                last *= 1.0
                continue
            last = c
            keep = before
            if verbose:
                print(
                    i,
                    f"{c:.1f}",
                    np.round(1000 * s.late[1:], 1),
                    f"{np.abs(st[: s.nP].reshape(-1, 6)[:, :3]).max():.1e}",
                    f"len {s.lengths[MIDDLE_RAY].sum():.1f}",
                    np.round(np.exp(s.foc), 3) if s.p.focal else "",
                    flush=True,
                )
            s.damp = max(s.damp / 3, 1e-7)
            if (
                i > 3
                and np.abs(st[: s.nP]).max() < 1e-2
                and np.abs(st[: s.nP].reshape(-1, 6)[:, :3]).max() < 2e-5
            ):
                break
        return s.rig_()

    def rig_(s):
        return Rig(
            tuple(
                replace(c, T_camera_from_world=T)
                for c, T in zip(s.rig.cameras, s.poses, strict=False)
            ),
            "x",
        )


def _d(at, order, K):
    return (
        legendre.legval(at, legendre.legder(np.eye(K), order, axis=0)).T
        if order
        else legendre.legvander(at, K - 1)
    )


def seen_in(name, data, capture):
    """The rig by the board, what its cameras saw, clocks and the hand's length."""
    if name.startswith("syn"):
        return synthetic(capture)
    clocks, length = CLOCKS[name]
    if name.startswith("stereo"):
        folder = data / "stereo_video"
        rig = Rig.load(folder, unit=40)
        seen = [
            follow(folder / f"{c.name}_test.mp4", c.camera, max_hands=1, first_s=60)
            for c in rig.cameras
        ]
        part = {":": slice(0, 200), "-": slice(-200, None)}.get(name[6:7], slice(None))
        seen = [replace(s, times_s=s.times_s[part], hands=s.hands[part]) for s in seen]
    else:
        folder = data / "views_two_hands"
        folder /= "4_cam_recording" if name.startswith("four") else "charuco_calibration"
        rig = Rig.load(folder / "camera_array.toml").select(
            [f"cam_{n}" for n in name.lstrip("twofur")]
        )
        seen = [
            follow(folder / f"calibration/extrinsic/{c.name}.mp4", c.camera, first_s=60)
            for c in rig.cameras
        ]
    return rig, seen, clocks, length


def synthetic(capture):
    """The same of a capture of one person."""
    data = InterHand26M(capture, "train", Selection.official())
    work = list(instants(data, [f"40000{n}" for n in (1, 2, 3, 4)]))
    rig, times, lengths, before = work[0].rig, [], [], None
    trackers, hands = [HandTracker(max_hands=2) for _ in rig.cameras], [[] for _ in rig.cameras]
    for instant in work:
        if instant.sequence != before:
            later = times[-1] + 2 - instant.time_s if times else 0
            before = instant.sequence
            for tracker in trackers:
                tracker.reset()
        times.append(instant.time_s + later)
        for v, row in enumerate(instant.rows):
            sample = data[row]
            lengths += [bone_lengths(h.joints_mm)[MIDDLE_RAY].sum() for h in sample.hands]
            frame = Frame(sample.image, times[-1], len(times) - 1, rig.cameras[v].camera)
            hands[v].append(trackers[v](frame))
    size = sample.image.shape[1::-1]
    seen = [
        Followed(c.name, size, c.camera, np.array(times), of)
        for c, of in zip(rig.cameras, hands, strict=True)
    ]
    return rig, seen, [0] * len(seen), float(np.median(lengths))


def adjusted(
    rig, seen, clocks, length, start, t=0.0, unsure=0.0, floor=None, equal=False, **numbers
):
    """Poses by today's adjustment with other numbers."""
    ad.BY_HANDS = cal.BY_HANDS = replace(BY_HANDS, **numbers)
    lk.LOOKING = LOOKING if floor is None else replace(LOOKING, least_share=floor)
    huber.cost, huber.weight = COST, WEIGHT
    if t:
        huber.cost = lambda m, _: float((t * np.log1p(m * m / t)).sum())
        huber.weight = lambda m, _: 1 / np.sqrt(1 + m * m / t)

    def doubted(looks):
        sigma = looks.sigma
        if equal:
            extents = np.array([doubt.extent for doubt in looks.doubts])
            sigma = np.broadcast_to(0.03 * extents[:, None], sigma.shape)
        if unsure and len(sigma):
            least = np.quantile(sigma, 1 - unsure, axis=1, keepdims=True)
            sigma = np.where(sigma > least, 5 * sigma, sigma)
        return replace(looks, sigma=sigma)

    looks = [Looks.of(views) for views in side_by_side(seen, clocks)]
    shapes = cal._spread(cal._by_place(start, each) for each in looks)
    shapes = [ad.Shape(doubted(s.looks), s.members) for s in shapes]
    poses = [each.T_camera_from_world for each in start.cameras]
    problem = Adjustment(shapes, poses, length, BY_HANDS.known_length)
    problem.solve()
    problem.drop_wrong()
    problem.solve()
    return problem.poses


BY_HANDS, LOOKING, COST, WEIGHT = ad.BY_HANDS, lk.LOOKING, huber.cost, huber.weight


def errors(board, poses):
    """Of each camera after the first: rotation, direction, distance against the board's."""
    first, own_first, out = board.cameras[0].T_camera_from_world.inverse(), poses[0].inverse(), []
    for each, pose in zip(board.cameras[1:], poses[1:], strict=True):
        true, own = each.T_camera_from_world @ first, pose @ own_first
        cosine = (np.trace(own.rotation @ true.rotation.T) - 1) / 2
        a, b = true.inverse().translation_mm, own.inverse().translation_mm
        la, lb = np.linalg.norm(a), np.linalg.norm(b)
        turn, aside = np.degrees(np.arccos(np.clip([cosine, a @ b / la / lb], -1, 1)))
        out.append(f"{turn:.1f}°, {aside:.1f}°, {100 * (lb / la - 1):+.1f} %")
    return "; ".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recordings", nargs="+")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--capture", type=Path)
    options = parser.parse_args()
    for name in options.recordings:
        rig, seen, clocks, length = seen_in(name, options.data, options.capture)
        lenses, sizes = [c.camera for c in rig.cameras], [s.size for s in seen]
        found = cal.calibrate_rig(
            rig.names, lenses, sizes, side_by_side(seen, clocks), hand_length_mm=length
        ).rig
        for variant, numbers in VARIANTS.items():
            poses = adjusted(rig, seen, clocks, length, found, **numbers)
            print(f"| {name} | {variant} | {errors(rig, poses)} |", flush=True)
        for variant, numbers in JOINT.items():
            joint = Joint(found, seen, clocks, length, P(**numbers))
            joint.solve()
            ms = ", ".join(f"{1000 * late:+.0f}" for late in joint.late[1:])
            print(f"| {name} | {variant}, {ms} ms | {errors(rig, joint.poses)} |", flush=True)


if __name__ == "__main__":
    main()

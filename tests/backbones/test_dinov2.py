import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from herbage.backbones.dinov2 import Dinov2Backbone, attention_per_image
from herbage.backbones.engine import cpu_has_bf16, resolve_engine
from herbage.backbones.opening import open_backbone
from herbage.backbones.views import view_images
from herbage.errors import BackboneInvalid, DeviceMissing, WeightsMissing
from herbage.recipe import load_recipe
from herbage.tokens.layout import BackboneOutput, tokens_shape, upright_tokens
from tests.conftest import tensors_of


def images(count=2, side=56):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_class_vector_and_patches_equal_those_of_transformers(tiny_dinov2):
    from transformers import Dinov2Model

    backbone = open_backbone(tiny_dinov2, precision="fp32")
    class_vectors, patches = backbone(images())
    plain = Dinov2Model.from_pretrained(tiny_dinov2).eval()
    with torch.no_grad():
        expected = plain(images()).last_hidden_state
    torch.testing.assert_close(class_vectors, expected[:, 0])
    torch.testing.assert_close(patches, expected[:, 1:])
    assert (backbone.patch_px, backbone.width, patches.shape) == (14, 24, (2, 16, 24))


def test_register_tokens_are_dropped(tmp_path):
    from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    config = Dinov2WithRegistersConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=70, patch_size=14, num_register_tokens=4
    )
    plain = Dinov2WithRegistersModel(config).eval()
    plain.save_pretrained(tmp_path)
    _, patches = open_backbone(tmp_path, precision="fp32")(images())
    with torch.no_grad():
        torch.testing.assert_close(patches, plain(images()).last_hidden_state[:, 5:])


def test_dinov3_has_patches_of_16_and_the_same_grid(tiny_dinov3):
    from transformers import DINOv3ViTModel

    backbone = open_backbone(tiny_dinov3, precision="fp32")
    recipe = load_recipe("field").model_copy(update={"grid": 5})
    inputs = view_images(np.full((40, 90, 3), 128, np.uint8), recipe, backbone.patch_px)
    assert (backbone.patch_px, inputs.shape[-1]) == (16, 80)
    inputs = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0))
    class_vectors, patches = backbone(inputs)
    with torch.no_grad():
        expected = DINOv3ViTModel.from_pretrained(tiny_dinov3).eval()(inputs).last_hidden_state
    torch.testing.assert_close(class_vectors, expected[:, 0])
    torch.testing.assert_close(patches, expected[:, 5:])
    assert upright_tokens([BackboneOutput(class_vectors, patches)], recipe).shape == tokens_shape(recipe, 24)


def test_the_encoder_of_a_depth_anything_model_is_used(tiny_depth_anything, tmp_path):
    from transformers import DepthAnythingForDepthEstimation, Dinov2Model

    depth_model = DepthAnythingForDepthEstimation.from_pretrained(tiny_depth_anything)
    plain = Dinov2Model(depth_model.config.backbone_config)
    plain.load_state_dict(depth_model.backbone.state_dict())
    plain.save_pretrained(tmp_path)
    taken, own = (open_backbone(folder, precision="fp32") for folder in (tiny_depth_anything, tmp_path))
    for ours, theirs in zip(taken(images()), own(images()), strict=True):
        assert torch.equal(ours, theirs)
    assert (taken.digest, taken.width) == (own.digest, 24)


def test_the_message_about_gated_weights_names_the_licence_and_the_page():
    class Gate(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(403)
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    code = (
        "from herbage.backbones.opening import open_backbone; from herbage.errors import WeightsMissing\n"
        "try: open_backbone('facebook/dinov3-vits16-pretrain-lvd1689m')\nexcept WeightsMissing as e: print(e)"
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gate) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        here = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "NO_PROXY": "127.0.0.1"}
        run = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **here}, capture_output=True, text=True, check=True
        )
        hub.shutdown()
    assert "sign in at https://huggingface.co/facebook/dinov3-vits16-pretrain-lvd1689m" in run.stdout
    assert "accept their licence" in run.stdout


def test_the_digest_depends_on_the_weights_and_not_on_the_file(tiny_dinov2, tmp_path):
    first = open_backbone(tiny_dinov2)
    shutil.copytree(tiny_dinov2, tmp_path / "copy")
    tensors = tensors_of(tmp_path / "copy/model.safetensors")
    save_file(dict(reversed(tensors.items())), tmp_path / "copy/model.safetensors", {"format": "pt", "note": "moved"})
    assert open_backbone(tmp_path / "copy", precision="fp32").digest == first.digest
    tensors["layernorm.bias"][0] += 1e-3
    save_file(tensors, tmp_path / "copy/model.safetensors", {"format": "pt"})
    assert open_backbone(tmp_path / "copy").digest != first.digest


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bf16")
def test_auto_is_bf16_where_the_processor_has_it_and_close_to_fp32(tiny_dinov2):
    fast, exact = open_backbone(tiny_dinov2, device="cpu"), open_backbone(tiny_dinov2, device="cpu", precision="fp32")
    assert (fast.engine.precision, fast.engine.tokens) == ("bf16", "float16")
    assert (exact.engine.precision, exact.engine.tokens) == ("fp32", "float32")
    cosine = torch.cosine_similarity(fast(images())[1], exact(images())[1], dim=-1)
    assert cosine.min() > 0.999


def test_the_message_about_missing_weights_says_how_to_get_them():
    with pytest.raises(WeightsMissing) as caught:
        open_backbone("facebook/dinov2-that-is-not-here")
    for part in (
        "Could not load the weights of facebook/dinov2-that-is-not-here", "hf download facebook/dinov2-that-is-not-here",
        '`backbone="DIR"`', "HF_HOME", '`backbone="texture"`',
    ):  # fmt: skip
        assert part in str(caught.value)


def test_a_folder_without_a_backbone_is_refused(tmp_path, tiny_dinov2):
    with pytest.raises(WeightsMissing, match="`backbone`: the folder .*gone does not exist"):
        open_backbone(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneInvalid, match=r"neither config\.json nor openvino\.json"):
        open_backbone(tmp_path / "empty")
    shutil.copytree(tiny_dinov2, tmp_path / "vit")
    config = json.loads((tmp_path / "vit/config.json").read_text("utf-8"))
    (tmp_path / "vit/config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    with pytest.raises(BackboneInvalid, match=r"'vit'.*expected one of dinov2"):
        open_backbone(tmp_path / "vit")


def test_a_missing_weight_is_never_filled_with_random_numbers(tmp_path, tiny_dinov2):
    shutil.copytree(tiny_dinov2, tmp_path / "part")
    tensors = tensors_of(tmp_path / "part/model.safetensors")
    del tensors["encoder.layer.1.norm1.weight"]
    save_file(tensors, tmp_path / "part/model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsMissing, match=r"incomplete: encoder\.layer\.1\.norm1\.weight"):
        open_backbone(tmp_path / "part")
    (tmp_path / "part/model.safetensors").write_bytes(b"broken")
    with pytest.raises(WeightsMissing):
        Dinov2Backbone(str(tmp_path / "part"))


def test_a_device_that_is_not_available_is_named():
    if not torch.cuda.is_available():
        with pytest.raises(DeviceMissing, match='`device="cuda"` is not available on this machine; available: cpu'):
            resolve_engine("cuda", library="torch")
    with pytest.raises(DeviceMissing, match='`precision="fp16"` needs a GPU'):
        resolve_engine("cpu", "fp16", library="torch")


def test_opening_a_backbone_imports_no_torchvision(tiny_dinov2):
    code = (
        "import sys; from herbage.backbones.opening import open_backbone; import herbage.steps, herbage.app.cli;"
        f"open_backbone({str(tiny_dinov2)!r}, device='cpu'); sys.exit('torchvision' in sys.modules or 'timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_attention_per_image_equals_that_of_torch(dtype, tolerance):
    query, key, value = torch.randn(3, 2, 4, 17, 8, generator=torch.Generator().manual_seed(0)).unbind()
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    ours, weights = attention_per_image(torch.nn.Identity(), query.to(dtype), key.to(dtype), value.to(dtype), None)
    assert weights is None
    torch.testing.assert_close(ours.float(), expected, rtol=tolerance, atol=tolerance)


def test_bf16_on_a_cpu_is_close_to_fp32(tiny_dinov2):
    exact, fast = (open_backbone(tiny_dinov2, device="cpu", precision=p)(images())[1] for p in ("fp32", "bf16"))
    assert torch.nn.functional.cosine_similarity(exact, fast, dim=-1).min() > 0.999


def test_a_batch_that_does_not_fit_in_memory_is_split_and_logged_once(tiny_dinov2, monkeypatch, caplog):
    backbone = open_backbone(tiny_dinov2, precision="fp32")
    expected = backbone(images(7))
    forward = backbone.model.forward

    def small_memory(pixels, *args, **kwargs):
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(pixels, *args, **kwargs)

    monkeypatch.setattr(backbone.model, "forward", small_memory)
    for _ in range(2):
        for ours, theirs in zip(backbone(images(7)), expected, strict=True):
            torch.testing.assert_close(ours, theirs)
    assert caplog.text.count("it is split into halves") == 1
    monkeypatch.setattr(backbone.model, "forward", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("no")))
    with pytest.raises(DeviceMissing, match="One image of 56 pixels and .* do not fit in the memory of cpu together"):
        backbone(images(1))
